"""cotenant models list: the zoo."""

import json
from dataclasses import asdict

import click

from cotenant.profiler.cli.columns import as_columns, counted
from cotenant.profiler.cli.options import json_option


@click.command("list")
@json_option
def command(as_json: bool) -> None:
    """List the models of the zoo with their published sizes."""
    from cotenant.models.zoo import catalogue

    entries = catalogue()
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries], indent=1))
        return
    rows = [
        (entry.name, entry.family, f"{entry.parameter_count:,}", counted(entry.mac_count), ", ".join(entry.options))
        for entry in entries
    ]
    click.echo(as_columns(("name", "family", "parameters", "MACs", "options"), rows))
