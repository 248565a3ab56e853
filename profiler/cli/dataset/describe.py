"""cotenant dataset describe: what a dataset holds and says."""

import json
from pathlib import Path

import click

from cotenant.profiler.cli.options import dataset_argument, json_option


@click.command("describe")
@dataset_argument
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Tell in plain words what the dataset in DIR holds and says."""
    from cotenant.datasets.describe import describe_dataset

    description = describe_dataset(folder)
    click.echo(json.dumps(description.as_dict(), indent=1) if as_json else description.text())
