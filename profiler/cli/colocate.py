"""cotenant colocate: two engines beside each other."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cotenant.profiler.cli.options import (
    batch_option,
    cache_option,
    json_option,
    model_option,
    out_option,
    where_options,
)

if TYPE_CHECKING:
    from cotenant.profiler.campaign.shortcuts import Where

Tenant = tuple[str, int]


@click.command("colocate")
@model_option
@batch_option
@where_options
@cache_option
@out_option
@json_option
def command(
    where: "Where",
    models: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    cache: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure two engines alone and beside each other.

    Ends with who slows whom by how much. One --model stands beside itself; one --batch holds for both.

    \b
    Example:
      cotenant colocate --model resnet18:image=96 --model file:net.onnx --batch 1
    """
    from cotenant.models.errors import WorkError
    from cotenant.profiler.campaign.shortcuts import colocate_spec
    from cotenant.profiler.cli.sentence import pair_results
    from cotenant.profiler.cli.work import run_spec, shortfall

    outcome = run_spec(colocate_spec(where, *_tenants(models, batch_sizes)), out, cache)
    results = pair_results(outcome.folder)
    if as_json:
        click.echo(json.dumps({"folder": str(outcome.folder), "pairs": results}, indent=1))
    else:
        click.echo("\n".join([f"dataset: {outcome.dataset}", *_lines(results)]))
    if failed := shortfall(outcome):
        raise WorkError(failed)


def _tenants(models: tuple[str, ...], batch_sizes: tuple[int, ...]) -> tuple[Tenant, Tenant]:
    from cotenant.models.errors import UserError

    if len(models) > 2:
        raise UserError(f"colocate measures two models, not {len(models)}; list more in a spec for `campaign run`")
    if len(batch_sizes) > 2:
        raise UserError(f"colocate takes one or two batch sizes, not {len(batch_sizes)}; give one for each --model")
    (first, second), (first_size, second_size) = (models * 2)[:2], (batch_sizes * 2)[:2]
    return (first, first_size), (second, second_size)


def _lines(results: list[dict[str, Any]]) -> list[str]:
    lines = []
    for result in results:
        lines += [f"{tenant} = {label}" for tenant, label in result["tenants"].items()]
        lines += [f"{result['verdict']}: {doubt}" for doubt in result["doubts"]]
        lines.append(result["sentence"])
    return lines
