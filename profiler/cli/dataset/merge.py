"""cotenant dataset merge: campaigns of several machines as one dataset."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from cotenant.profiler.cli.faults import writing_below
from cotenant.profiler.cli.options import json_option


@click.command("merge")
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the joined campaign.")
@json_option
def command(folders: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Join the campaigns in DIR... and derive one dataset.

    The same measurement in two campaigns is kept once; one cell measured twice with different results is refused, and
    so are campaigns that contradict each other about a device or an engine.

    \b
    Example:
      cotenant dataset merge node1/data node2/data --out all
    """
    from cotenant.datasets.merge import merge_campaigns

    with writing_below(out):
        merged = merge_campaigns(folders, out)
    if as_json:
        told = {
            "dataset": str(merged.dataset),
            "sources": [asdict(each) for each in merged.sources],
            "notes": merged.notes,
        }
        click.echo(json.dumps(told, indent=1))
        return
    for source in merged.sources:
        known = f", {source.duplicate_count} of them known already" if source.duplicate_count else ""
        click.echo(f"{source.folder}: {source.experiment_count} experiments{known}")
    for note in merged.notes:
        click.echo(f"note: {note}")
    click.echo(f"dataset: {merged.dataset}")
