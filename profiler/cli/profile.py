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


@click.command("profile")
@model_option
@batch_option
@where_options
@cache_option
@out_option
@busy_option
@json_option
def command(
    where: "Where",
    models: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    cache: Path | None,
    out: Path | None,
    allow_busy: bool,
    as_json: bool,
) -> None:
    """Measure each engine alone.

    Tells latency with bounds, and how much of the device each engine uses.

    \b
    Example:
      cotenant profile --model resnet18:image=96 --model roberta_mini:seq=32 --batch 1,2
    """
    from cotenant.models.errors import WorkError
    from cotenant.profiler.campaign.plan import engine_keys
    from cotenant.profiler.campaign.shortcuts import profile_spec
    from cotenant.profiler.cli.work import run_spec, shortfall

    spec = profile_spec(where, models, batch_sizes)
    outcome = run_spec(spec, out, cache, allow_busy)
    profiles = _profiles(outcome.folder, {key.model for key in engine_keys(spec)})
    if as_json:
        click.echo(json.dumps(profiles, indent=1))
    else:
        header = ("model", "batch", "p50 ms", "bounds", "p95 ms", "items/s", "compute %", "DRAM %", "blocks")
        click.echo(as_columns(header, list(map(_row, profiles))))
        click.echo(f"dataset: {outcome.dataset}")
    if failed := shortfall(outcome):
        raise WorkError(failed)


def _profiles(folder: Path, asked: set[str]) -> list[dict[str, Any]]:
    from cotenant.datasets.read import read_table

    engines = {row["engine_id"]: row for row in read_table(folder, "engines").to_pylist()}
    throughputs = {row["engine_id"]: row for row in read_table(folder, "throughputs").to_pylist()}
    joined = [
        {**row, "engine": engines[row["engine_id"]], "throughput": throughputs.get(row["engine_id"])}
        for row in read_table(folder, "solo_profiles").to_pylist()
        if engines[row["engine_id"]]["model"] in asked  # the probes of the device's peaks were not
    ]
    return sorted(joined, key=lambda row: (row["engine"]["model"], row["engine"]["batch_size"]))


def _row(profile: dict[str, Any]) -> tuple[str, ...]:
    used = profile["throughput"] or {}
    percents = ("-" if used.get(key) is None else f"{used[key]:.0f}" for key in ("sm_pct", "dram_pct"))
    return (
        profile["engine"]["model"],
        str(profile["engine"]["batch_size"]),
        milliseconds(profile["span_p50_ns"]),
        f"[{milliseconds(profile['span_p50_lower_ns'])}, {milliseconds(profile['span_p50_upper_ns'])}]",
        milliseconds(profile["span_p95_ns"]),
        f"{profile['throughput_items_per_s']:.1f}",
        *percents,
        str(profile["block_count"]),
    )
