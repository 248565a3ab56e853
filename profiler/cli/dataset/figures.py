"""cotenant dataset figures: the paper's figures from a dataset's tables, as data and pictures."""

from pathlib import Path

import click

from cotenant.profiler.cli.options import ANY_FOLDER, dataset_argument


@click.command("figures")
@dataset_argument
@click.option(
    "--out", type=ANY_FOLDER, default=None, show_default="figures/ beside the dataset", help="Where the files go."
)
@click.option("--data-only", is_flag=True, help="Write the CSV files and draw nothing.")
def command(folder: Path, out: Path | None, data_only: bool) -> None:
    """Write the paper's figures that the dataset in DIR has data for.

    Throughput by batch size (Figure 2), p99 of latency by number of tenants (Figure 3) and p95 of interference
    (section 3), each as CSV, SVG and PNG.
    """
    from cotenant.datasets.figures import figures
    from cotenant.datasets.folders import dataset_folder
    from cotenant.datasets.parquet import writing
    from cotenant.models.errors import WorkError

    found = figures(folder)
    if not found:
        raise WorkError(f"{folder} has nothing to draw: no solo profile and no serving experiment yet")
    target = dataset_folder(folder).parent / "figures" if out is None else out
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
        for figure in found:
            path = target / f"{figure.name}.csv"
            figure.rows.to_csv(path, index=False)
            click.echo(path)
            if not data_only:
                from cotenant.datasets.pictures import draw

                for picture in draw(figure, target):
                    click.echo(picture)
