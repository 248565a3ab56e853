"""cotenant dataset build: derive every table from the raw files."""

from pathlib import Path

import click

from cotenant.profiler.cli.faults import writing_below
from cotenant.profiler.cli.options import dataset_argument


@click.command("build")
@dataset_argument
def command(folder: Path) -> None:
    """Derive the dataset of the campaign in DIR again, from its raw files alone."""
    from cotenant.datasets.build import build_dataset

    with writing_below(folder):
        click.echo(f"dataset: {build_dataset(folder)}")
