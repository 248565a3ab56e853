"""cotenant profile: each engine alone."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cotenant.profiler.cli.columns import as_columns, milliseconds
from cotenant.profiler.cli.options import (
    batch_option,
    busy_option,
    cache_option,
    json_option,
    model_option,
    out_option,
    where_options,
)

if TYPE_CHECKING:
    from cotenant.profiler.campaign.shortcuts import Where

COUNTERS = ("auto", "none", "ncu", "gpm", "analytic")
SHOWN_FIRST = ("ncu", "gpm", "simulated", "analytic", "probe", "nvml")  # whose percentages the table shows


@click.command("profile")
@model_option
@batch_option
@where_options
@cache_option
@out_option
@click.option(
    "--counters",
    type=click.Choice(COUNTERS),
    default="auto",
    show_default=True,
    help="Where throughputs come from; auto: on a GPU the best that this machine allows, told where it is not ncu.",
)
@click.option(
    "--counter-set",
    "counter_sets",
    type=click.Choice(("paper", "single")),
    multiple=True,
    help="Set of ncu's counters. Repeatable; both by default.",
)
@click.option("--reuse-kernels", is_flag=True, help="Replay one of each group of identical kernels (set paper).")
@busy_option
@json_option
def command(
    where: "Where",
    models: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    cache: Path | None,
    out: Path | None,
    counters: str,
    counter_sets: tuple[str, ...],
    reuse_kernels: bool,
    allow_busy: bool,
    as_json: bool,
) -> None:
    """Measure each engine alone.

    Tells latency with bounds, and how much of the device each engine uses. Where counters are forbidden, as on most
    rented GPUs, the next source is taken and told with the fix; name one with --counters to insist on it.

    \b
    Examples:
      cotenant profile --model resnet18:image=96 --model roberta_mini:seq=32 --batch 1,2
      cotenant profile --runner tensorrt --model resnet50 --batch 1,8 --counters ncu --counter-set paper
    """
    from cotenant.models.errors import WorkError
    from cotenant.profiler.campaign.plan import engine_keys
    from cotenant.profiler.campaign.shortcuts import profile_spec
    from cotenant.profiler.cli.work import run_spec, shortfall

    asked = _counters_key(where, counters, counter_sets, reuse_kernels)
    spec = profile_spec(where, models, batch_sizes, asked)
    outcome = run_spec(spec, out, cache, allow_busy)
    profiles = _profiles(outcome.folder, {key.model for key in engine_keys(spec)})
    if as_json:
        click.echo(json.dumps(profiles, indent=1))
    else:
        header = ("model", "batch", "p50 ms", "bounds", "p95 ms", "items/s", "compute %", "L2 %", "DRAM %", "counters")
        click.echo(as_columns((*header, "blocks"), list(map(_row, profiles))))
        click.echo(f"dataset: {outcome.dataset}")
    if failed := shortfall(outcome):
        raise WorkError(failed)


def _counters_key(
    where: "Where", counters: str, counter_sets: tuple[str, ...], reuse_kernels: bool
) -> dict[str, Any] | None:
    """Return the spec's key `counters`; None where nothing is profiled."""
    from cotenant.profiler.counters.tiers import AUTOMATIC, SETS
    from cotenant.runners.registry import load

    if counters == "none":
        return None
    if counters == "auto":
        if load(where.runner).device(where.device).kind != "gpu":
            return None
        sources: tuple[str, ...] = AUTOMATIC
    else:
        sources = (counters,)
    return {"sources": sources, "sets": counter_sets or SETS, "reuse_kernels": reuse_kernels}


def _profiles(folder: Path, asked: set[str]) -> list[dict[str, Any]]:
    """Return the solo profiles of what was asked for, each with its engine and its throughputs, best source first."""
    from cotenant.datasets.read import read_table

    engines = {row["engine_id"]: row for row in read_table(folder, "engines").to_pylist()}
    throughputs: dict[str, list[dict[str, Any]]] = {}
    for row in read_table(folder, "throughputs").to_pylist():
        throughputs.setdefault(row["engine_id"], []).append(row)
    joined = [
        {**row, "engine": engines[row["engine_id"]], "throughputs": _best_first(throughputs.get(row["engine_id"], []))}
        for row in read_table(folder, "solo_profiles").to_pylist()
        if engines[row["engine_id"]]["model"] in asked  # the probes of the device's peaks were not
    ]
    return sorted(joined, key=lambda row: (row["engine"]["model"], row["engine"]["batch_size"]))


def _best_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = {source: place for place, source in enumerate(SHOWN_FIRST)}
    return sorted(rows, key=lambda row: (order.get(row["counter_source"], len(order)), row["counter_set"]))


def _row(profile: dict[str, Any]) -> tuple[str, ...]:
    used: dict[str, Any] = next(iter(profile["throughputs"]), {})
    percents = ("-" if used.get(key) is None else f"{used[key]:.0f}" for key in ("sm_pct", "l2_pct", "dram_pct"))
    told = " ".join(dict.fromkeys(used.get(key, "-") for key in ("counter_source", "counter_set")))
    return (
        profile["engine"]["model"],
        str(profile["engine"]["batch_size"]),
        milliseconds(profile["span_p50_ns"]),
        f"[{milliseconds(profile['span_p50_lower_ns'])}, {milliseconds(profile['span_p50_upper_ns'])}]",
        milliseconds(profile["span_p95_ns"]),
        f"{profile['throughput_items_per_s']:.1f}",
        *percents,
        told,
        str(profile["block_count"]),
    )
