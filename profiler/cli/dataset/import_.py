"""cotenant dataset import: measurements and timelines of other people's tools."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cotenant.profiler.cli.faults import EXIT_WORK_FAILED, writing_below
from cotenant.profiler.cli.options import json_option

if TYPE_CHECKING:
    from cotenant.datasets.imports.pairs import ImportedPairs

NOT_WRITTEN = "nothing is written; give --allow-duplicates to import them all the same"


@click.command("import")
@click.argument("source", metavar="SOURCE", type=click.Path(path_type=Path))
@click.option(
    "--mapping", "mapping_file", required=True, type=click.Path(path_type=Path), help="What SOURCE holds, as YAML."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder for the dataset.")
@click.option("--allow-duplicates", is_flag=True, help="Import rows that repeat the numbers of others too.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, source: Path, mapping_file: Path, out: Path, allow_duplicates: bool, as_json: bool
) -> None:
    """Make a dataset of SOURCE, a file of another tool.

    The mapping's `format` says what SOURCE is. csv, jsonl: pair measurements, which become devices, engines,
    throughputs, experiments and slowdowns. trtexec (--exportTimes), nsys (sqlite, or a folder of Parquet files): a
    timeline, which becomes executions with their overlaps.

    \b
    format: csv
    device: {name: Tesla V100, kind: gpu, sm_count: 80}
    runner: triton
    tenants:
      - model: model_a
        batch: batch_a
        share: {column: share_a, unit: percent}
        solo: {p50: {column: solo_a, unit: ms}}
        co_run: {p50: {column: co_run_a, unit: ms}}
      - {model: model_b, batch: batch_b, share: {column: share_b, unit: percent}}
    \b
    format: nsys
    device: {name: Tesla V100, kind: gpu, sm_count: 80}
    runner: tensorrt
    isolation: streams
    clock_error_ns: 1000
    tenants:
      - {model: resnet50, batch: 8, stream: 7, gap_ns: 20000}
      - {model: vgg19, batch: 4, stream: 14, kernel_count: 60}

    A field is a column's name, {column: NAME, unit: UNIT} or {value: CONSTANT}. Units: ns, us, ms, s; percent, ratio.
    Exit code 1, and nothing is written, where rows repeat the numbers of others.
    """
    from cotenant.datasets.imports.origin import origin_of
    from cotenant.datasets.imports.pair_mapping import pair_mapping
    from cotenant.datasets.imports.pairs import import_pairs
    from cotenant.datasets.imports.timeline import TIMELINES, import_timeline
    from cotenant.profiler.campaign.yaml_text import read_yaml
    from cotenant.runners.engine_cache import own_version

    where = str(mapping_file)
    content = read_yaml(_text(mapping_file), where)
    origin = origin_of(source, content, where, {"cotenant": own_version()})
    with writing_below(out):
        if isinstance(content, dict) and content.get("format") in TIMELINES:
            done = import_timeline(source, content, where, origin, out)
            told = {"dataset": str(done.dataset), "execution_counts": done.execution_counts}
            text = [f"{name}: {count:,} executions" for name, count in done.execution_counts.items()]
            click.echo(json.dumps(told, indent=1) if as_json else "\n".join([*text, f"dataset: {done.dataset}"]))
            return
        found = import_pairs(source, pair_mapping(content, where), origin, out, allow_duplicates)
    _tell(found, as_json)
    if found.dataset is None:
        ctx.exit(EXIT_WORK_FAILED)


def _tell(found: "ImportedPairs", as_json: bool) -> None:
    if as_json:
        told = {**asdict(found), "dataset": None if found.dataset is None else str(found.dataset)}
        click.echo(json.dumps(told, indent=1))
        return
    for line in found.contamination.lines():
        click.echo(f"DUPLICATES: {line}", err=found.dataset is None)
    if found.dataset is None:
        click.echo(NOT_WRITTEN, err=True)
        return
    click.echo(f"{found.row_count:,} rows: {found.experiment_count:,} experiments, {found.engine_count:,} engines")
    click.echo(f"dataset: {found.dataset}")


def _text(path: Path) -> str:
    from cotenant.datasets.parquet import reading
    from cotenant.models.errors import UserError

    if not path.is_file():
        raise UserError(f"{path} is no file; name the mapping")
    try:
        with reading(path):
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8; save it as UTF-8") from error
