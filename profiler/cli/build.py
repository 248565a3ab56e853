"""cotenant build: engines for each model and batch size."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cotenant.profiler.cli.columns import as_columns, counted
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


@click.command("build")
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
    """Build engines for each model and batch size.

    Those in the cache are taken from there.

    \b
    Example:
      cotenant build --model resnet50 --model file:net.onnx --batch 1,8
    """
    from cotenant.profiler.campaign.shortcuts import build_spec
    from cotenant.profiler.cli.work import run_spec

    outcome = run_spec(build_spec(where, models, batch_sizes), out, cache)
    engines = [json.loads(path.read_text()) for path in sorted((outcome.folder / "engines").glob("*/meta.json"))]
    engines.sort(key=lambda engine: (engine["model"], engine["batch_size"]))
    if as_json:
        click.echo(json.dumps(engines, indent=1))
        return
    click.echo(as_columns(("engine_id", "model", "batch", "parameters", "MACs", "bytes"), list(map(_row, engines))))
    click.echo(f"{len(engines)} engines, described in {outcome.folder / 'engines'}")


def _row(engine: dict[str, Any]) -> tuple[str, ...]:
    counts = (counted(engine[key]) for key in ("parameter_count", "mac_count", "engine_bytes"))
    return engine["engine_id"], engine["model"], str(engine["batch_size"]), *counts
