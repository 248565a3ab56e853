"""cotenant models export: a model as ONNX."""

from pathlib import Path
from typing import Any

import click

from cotenant.profiler.cli.faults import writing_below
from cotenant.profiler.cli.options import ANY_FOLDER, batch_option, precision_option


@click.command("export")
@click.argument("model", metavar="NAME")
@batch_option
@precision_option
@click.option("--out", type=ANY_FOLDER, required=True, help="Folder for the graphs and the weights they share.")
def command(model: str, batch_sizes: tuple[int, ...], precision: Any, out: Path) -> None:
    """Write a model as ONNX, one graph for each batch size over one weights file."""
    from cotenant.models.output_folder import made_folder
    from cotenant.models.zoo import resolve

    found = resolve(model)
    with writing_below(out):
        made_folder(out)
        exports = [found.export(size, precision, out) for size in batch_sizes]
    for export in exports:
        click.echo(export.graph_path)
    for path in dict.fromkeys(export.weights_path for export in exports if export.weights_path is not None):
        click.echo(path)
