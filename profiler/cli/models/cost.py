"""cotenant models cost: the work of one execution."""

import json
from dataclasses import asdict
from typing import Any

import click

from cotenant.profiler.cli.columns import as_columns, counted
from cotenant.profiler.cli.options import batch_option, json_option, precision_option

COUNTS = ("mac_count", "flop_count", "read_bytes", "write_bytes", "weight_bytes", "parameter_count")


@click.command("cost")
@click.argument("model", metavar="NAME")
@batch_option
@precision_option
@json_option
def command(model: str, batch_sizes: tuple[int, ...], precision: Any, as_json: bool) -> None:
    """Tell the work of one execution: multiply-accumulates, operations, bytes. Makes no weights."""
    from cotenant.models.zoo import resolve

    found = resolve(model)
    costs = [{"batch_size": size, **asdict(found.cost(size, precision))} for size in batch_sizes]
    if as_json:
        click.echo(json.dumps({"name": found.name, "precision": precision, "costs": costs}, indent=1))
        return
    rows = [(str(cost["batch_size"]), *(counted(cost[key]) for key in COUNTS)) for cost in costs]
    click.echo(as_columns(("batch", "MACs", "FLOPs", "read B", "written B", "weights B", "parameters"), rows))
