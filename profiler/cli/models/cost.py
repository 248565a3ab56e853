"""cotenant models cost: the work of one execution."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cotenant.profiler.cli.columns import as_columns, counted
from cotenant.profiler.cli.options import batch_option, json_option, precision_option

if TYPE_CHECKING:
    from cotenant.models.model import OperatorCost

COUNTS = ("mac_count", "flop_count", "read_bytes", "write_bytes")
HEADINGS = ("MACs", "FLOPs", "read B", "written B")


@click.command("cost")
@click.argument("model", metavar="NAME")
@batch_option
@precision_option
@click.option("--operators", "with_operators", is_flag=True, help="Show each fused group of operators too.")
@json_option
def command(model: str, batch_sizes: tuple[int, ...], precision: Any, with_operators: bool, as_json: bool) -> None:
    """Tell the work of one execution: multiply-accumulates, operations, bytes. Makes no weights.

    Operators are fused the way an engine builder fuses them: a group reads its inputs once and writes what is read
    outside it.
    """
    from cotenant.models.zoo import resolve

    found = resolve(model)
    operators = {size: found.operator_costs(size, precision) if with_operators else () for size in batch_sizes}
    costs = [{"batch_size": size, **asdict(found.cost(size, precision))} for size in batch_sizes]
    if as_json:
        listed = [{"operators": [asdict(each) for each in operators[cost["batch_size"]]]} for cost in costs]
        told = [{**cost, **(more if with_operators else {})} for cost, more in zip(costs, listed, strict=True)]
        click.echo(json.dumps({"name": found.name, "precision": precision, "costs": told}, indent=1))
        return
    for size, groups in operators.items():
        if groups:
            click.echo(f"batch {size}\n{_listed(groups)}\n")
    rows = [
        (str(cost["batch_size"]), *(counted(cost[key]) for key in (*COUNTS, "weight_bytes", "parameter_count")))
        for cost in costs
    ]
    click.echo(as_columns(("batch", *HEADINGS, "weights B", "parameters"), rows))


def _listed(groups: "tuple[OperatorCost, ...]") -> str:
    rows = [
        (
            group.name,
            group.operators,
            "x".join(map(str, group.output_shape)),
            *(counted(getattr(group, key)) for key in COUNTS),
        )
        for group in groups
    ]
    return as_columns(("name", "operators", "output", *HEADINGS), rows)
