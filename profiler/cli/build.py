"""cotenant build: engines for each model and batch size."""

import json
from collections import defaultdict
from collections.abc import Sequence
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
    from cotenant.profiler.campaign.engines import BuiltEngine
    from cotenant.profiler.campaign.shortcuts import Where
    from cotenant.profiler.campaign.spec import CampaignSpec

HEADER = ("engine_id", "model", "batch", "build", "precision", "target", "bytes", "build time", "sha256")
DIGEST_CHARACTERS = 12


@click.command("build")
@model_option
@batch_option
@where_options
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=None,
    show_default="as the runner advises",
    help="How many builds run at once. They slow each other down: 1 where build times are compared.",
)
@click.option(
    "--rebuild",
    "build_count",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=1,
    help="Build each engine N times, as engines of their own, to see what differs from build to build.",
)
@cache_option
@out_option
@json_option
def command(
    where: "Where",
    models: tuple[str, ...],
    batch_sizes: tuple[int, ...],
    jobs: int | None,
    build_count: int,
    cache: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Build engines for each model and batch size.

    Those in the cache are taken from there. A build that fails lets the others go on. Runners that build for other
    machines take a build target as --device.

    \b
    Example:
      cotenant build --model resnet50 --model file:net.onnx --batch 1,8
      cotenant build --model resnet50 --batch 8 --rebuild 5
    """
    from cotenant.profiler.campaign.shortcuts import build_spec
    from cotenant.profiler.cli.work import default_folder, run_builds

    spec = _built_again(build_spec(where, models, batch_sizes), build_count)
    folder = out or default_folder(spec)
    builds = run_builds(spec, folder, cache, jobs)
    built = sorted(builds.built.values(), key=_place)
    click.echo(json.dumps(list(map(_facts, built)), indent=1) if as_json else _table(built, folder))
    builds.check()


def _built_again(spec: "CampaignSpec", count: int) -> "CampaignSpec":
    """Return a spec whose engines are built so many times, round after round, so that drift falls on all alike."""
    rounds = [group.model_copy(update={"build_index": index}) for index in range(count) for group in spec.engines]
    return spec.model_copy(update={"engines": tuple(rounds)})


def _place(built: "BuiltEngine") -> tuple[str, int, int]:
    return built.engine.model, built.engine.batch_size, built.engine.build_index


def _facts(built: "BuiltEngine") -> dict[str, Any]:
    from cotenant.profiler.campaign.engines import engine_row

    return {**engine_row(built.engine), "build_ns": built.build_ns, "cached": built.cached}


def _table(built: Sequence["BuiltEngine"], folder: Path) -> str:
    lines = [as_columns(HEADER, list(map(_row, built)))] if built else []
    count = "1 engine" if len(built) == 1 else f"{len(built)} engines"
    return "\n".join([*lines, *_variance(built), f"{count} in {folder / 'engines'}"])


def _row(built: "BuiltEngine") -> tuple[str, ...]:
    engine = built.engine
    return (
        *(engine.engine_id, engine.model, str(engine.batch_size), str(engine.build_index)),
        *(engine.precision, engine.build_target, counted(engine.engine_bytes), _build_time(built)),
        engine.engine_sha256[:DIGEST_CHARACTERS],
    )


def _build_time(built: "BuiltEngine") -> str:
    if built.build_ns is None:
        return "cached" if built.cached else "-"
    return f"{_took(built.build_ns)} (cached)" if built.cached else _took(built.build_ns)


def _took(ns: int) -> str:
    return f"{ns / 1e6:.0f} ms" if ns < 1e9 else f"{ns / 1e9:.1f} s"


def _variance(built: Sequence["BuiltEngine"]) -> list[str]:
    """Return a line for each engine that was built several times: how many different files, and how long they took."""
    again = defaultdict(list)
    for each in built:
        again[f"{each.engine.model}@{each.engine.batch_size}"].append(each)
    return [_several(label, builds) for label, builds in again.items() if len(builds) > 1]


def _several(label: str, builds: Sequence["BuiltEngine"]) -> str:
    digest_count = len({each.engine.engine_sha256 for each in builds})
    same = "all the same" if digest_count == 1 else f"{digest_count} different ones"
    times_ns = [each.build_ns for each in builds if each.build_ns is not None]
    took = f", built in {_took(min(times_ns))} to {_took(max(times_ns))}" if times_ns else ""
    return f"{label}: {len(builds)} builds, {same}{took}"
