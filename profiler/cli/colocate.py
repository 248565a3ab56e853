"""cotenant colocate: engines beside each other."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cotenant.profiler.cli.columns import as_columns
from cotenant.profiler.cli.lane_count import lanes_were_given, with_lanes
from cotenant.profiler.cli.options import (
    batch_option,
    busy_option,
    cache_option,
    json_option,
    model_option,
    out_option,
    where_options,
)
from cotenant.profiler.cli.sentence import doubt_lines

if TYPE_CHECKING:
    from cotenant.profiler.campaign.shortcuts import Arrangement, Where

Tenant = tuple[str, int]


@click.command("colocate")
@model_option
@batch_option
@click.option("--sweep", is_flag=True, help="Let the second of two models begin later and later: who slows whom when?")
@click.option(
    "--chain",
    is_flag=True,
    help="Let three models overlap like links on two lanes: the second begins late beside the first, and the third"
    " follows the first. More models take more lanes.",
)
@where_options
@cache_option
@out_option
@busy_option
@json_option
def command(
    where: "Where",
    models: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    sweep: bool,
    chain: bool,
    cache: Path | None,
    out: Path | None,
    allow_busy: bool,
    as_json: bool,
) -> None:
    """Measure engines alone and beside each other.

    Two models are a pair, more are a set with a lane for each; one given twice stands beside itself. Ends with who
    slows whom by how much. One --batch holds for all; else give one for each --model.

    \b
    Example:
      cotenant colocate --model resnet18:image=96 --model file:net.onnx --batch 1
      cotenant colocate --model resnet50 --model resnet50 --model vgg19 --runner simulated --device l4
      cotenant colocate --sweep --model resnet50 --model roberta_base --batch 8,1
    """
    from cotenant.models.errors import WorkError
    from cotenant.profiler.campaign.shortcuts import colocate_spec
    from cotenant.profiler.cli.colocate_results import colocate_results
    from cotenant.profiler.cli.work import run_spec, shortfall

    tenants = _tenants(models, batch_sizes)
    arrangement = _arrangement(len(tenants), sweep, chain)
    spec = colocate_spec(_placed(where, len(tenants), arrangement), *tenants, arrangement=arrangement)
    outcome = run_spec(spec, out, cache, allow_busy)
    results = colocate_results(outcome.folder, arrangement)
    if as_json:
        click.echo(json.dumps({"folder": str(outcome.folder), **results}, indent=1))
    else:
        click.echo("\n".join([f"dataset: {outcome.dataset}", *_lines(results)]))
    if failed := shortfall(outcome):
        raise WorkError(failed)


def _tenants(models: tuple[str, ...], batch_sizes: tuple[int, ...]) -> list[Tenant]:
    from cotenant.models.errors import UserError

    if len(batch_sizes) not in (1, len(models)):
        given = f"--batch has {len(batch_sizes)} batch sizes and there is --model {len(models)} times"
        raise UserError(f"{given}; give one for all, or one for each")
    if len(models) == 1:
        raise UserError("colocate needs two models or more; to measure one beside itself, give its --model twice")
    return list(zip(models, batch_sizes * (len(models) // len(batch_sizes)), strict=True))


def _arrangement(count: int, sweep: bool, chain: bool) -> "Arrangement":
    from cotenant.models.errors import UserError

    if sweep and chain:
        raise UserError("--sweep and --chain are two experiments; give one of them")
    if sweep and count != 2:
        raise UserError(f"--sweep moves one of two models against the other, and there are {count}; give two --model")
    if chain and count < 3:
        raise UserError(
            f"--chain takes three models, one more than lanes, and there are {count}; one may be given twice"
        )
    return "offset_sweep" if sweep else "chain" if chain else "pair" if count == 2 else "set"


def _placed(where: "Where", count: int, arrangement: "Arrangement") -> "Where":
    from cotenant.models.errors import UserError
    from cotenant.profiler.campaign.shortcuts import lanes_needed

    needed = lanes_needed(arrangement, count)
    if arrangement == "chain" and lanes_were_given() and where.lanes != needed:
        raise UserError(f"a chain of {count} models runs on {needed} lanes and --lanes is {where.lanes}; leave it out")
    return with_lanes(where, needed, f"{count} models side by side")


def _lines(results: dict[str, Any]) -> list[str]:
    experiments = results["experiments"]
    if not experiments:
        return []
    lines = [f"{tenant} = {label}" for tenant, label in experiments[0]["tenants"].items()]
    named = [(_name(each), each) for each in experiments]
    if results["kind"] == "offset_sweep":
        lines.append(_sweep_table(experiments))
    return [*lines, *doubt_lines(named), results["sentence"]]


def _name(experiment: dict[str, Any]) -> str:
    offset = experiment["planned_offset_ratio"]
    return "" if offset is None else f"offset {offset:.2f}"


def _sweep_table(points: list[dict[str, Any]]) -> str:
    """Return a line for each offset: each tenant's slowdown, and how much of it was overlapped."""
    columns = [(f"{tenant} slowed", "bounds", f"{tenant} overlapped %") for tenant in points[0]["tenants"]]
    header = ("offset", *(cell for cells in columns for cell in cells))
    rows = []
    for point in points:
        cells = [cell for row in point["slowdowns"] for cell in _slowdown_cells(row, point["beside_pct"])]
        rows.append((f"{point['planned_offset_ratio']:.2f}", *cells))
    return as_columns(header, rows)


def _slowdown_cells(row: dict[str, Any], beside_pct: dict[str, float | None]) -> tuple[str, str, str]:
    part_pct = beside_pct[row["tenant"]]
    overlapped = "-" if part_pct is None else f"{part_pct:.1f}"
    if row["slowdown_ratio"] is None:
        return "-", "-", overlapped
    bounds = f"[{row['slowdown_lower_ratio']:.2f}, {row['slowdown_upper_ratio']:.2f}]"
    return f"{row['slowdown_ratio']:.2f}", f"{bounds} (noise)" if row["within_noise"] else bounds, overlapped
