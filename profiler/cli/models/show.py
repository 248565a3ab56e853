"""cotenant models show: one model."""

import json
from dataclasses import asdict
from typing import Any

import click

from cotenant.profiler.cli.columns import counted
from cotenant.profiler.cli.options import batch_option, json_option, precision_option


@click.command("show")
@click.argument("model", metavar="NAME")
@batch_option
@precision_option
@json_option
def command(model: str, batch_sizes: tuple[int, ...], precision: Any, as_json: bool) -> None:
    """Show one model: its inputs, its size, its digest. Makes no weights."""
    from cotenant.models.zoo import resolve

    found = resolve(model)
    facts = [
        {
            "name": found.name,
            "family": found.family,
            "batch_size": size,
            "precision": precision,
            "inputs": [asdict(given) for given in found.inputs(size, precision)],
            **asdict(found.cost(size, precision)),
            "source_sha256": found.source_sha256(precision),
        }
        for size in batch_sizes
    ]
    click.echo(json.dumps(facts, indent=1) if as_json else "\n\n".join(map(_told, facts)))


def _told(facts: dict[str, Any]) -> str:
    inputs = ", ".join(f"{given['name']} {given['dtype']} {list(given['shape'])}" for given in facts["inputs"])
    return "\n".join(
        (
            f"{facts['name']} ({facts['family']}), batch {facts['batch_size']}, {facts['precision']}",
            f"  inputs      {inputs}",
            f"  parameters  {facts['parameter_count']:,}",
            f"  MACs        {counted(facts['mac_count'])}",
            f"  weights     {counted(facts['weight_bytes'])}B",
            f"  source      {facts['source_sha256']}",
        )
    )
