"""cotenant dataset features: one table that a predictor can be trained from."""

import json
from pathlib import Path

import click

from cotenant.profiler.cli.faults import writing_below
from cotenant.profiler.cli.options import dataset_argument, json_option


@click.command("features")
@dataset_argument
@click.option("--source", help="Counter source (ncu, gpm, simulated, analytic ...); by default the best that is there.")
@click.option("--set", "counter_set", metavar="NAME", help="Counter set of that source.")
@click.option(
    "--metrics",
    default="paper",
    show_default=True,
    metavar="NAMES",
    help="paper (SM, L2, DRAM), tensor, occupancy, issue, memory, bytes_per_s; several as paper,tensor.",
)
@click.option(
    "--alpha", "alphas", multiple=True, metavar="A", help="Smoothing factor of the moving average. Repeatable.",
    show_default="1/3, 1/2, 2/3",
)  # fmt: skip
@click.option("--ewma-start", default="first", show_default=True, help="first interval, or zero.")
@click.option(
    "--coalesce-ns", default=20_000, show_default=True, help="The average leaves out inner intervals shorter than this."
)
@click.option("--combine", default="sum", show_default=True, help="sum or max over co-runners.")
@click.option("--denominator", default="p50", show_default=True, help="p50 or p95 of the solo span, for lost_fraction.")
@click.option("--name", help="Name of the feature set; by default it follows from the choices.")
@json_option
def command(
    folder: Path,
    source: str | None,
    counter_set: str | None,
    metrics: str,
    alphas: tuple[str, ...],
    ewma_start: str,
    coalesce_ns: int,
    combine: str,
    denominator: str,
    name: str | None,
    as_json: bool,
) -> None:
    """Derive a feature table of the dataset in DIR: one row per execution, in raw units.

    It lies in dataset/features/<name>/ beside other feature sets; features.json there says what was chosen and why
    values are null. static_* is known at dispatch; static_start_*, ewma_* and weighted_* are known only afterwards.

    \b
    Examples:
      cotenant dataset features data
      cotenant dataset features data --source ncu --metrics paper,tensor --alpha 1/2 --coalesce-ns 0
    """
    from cotenant.datasets.features.choices import make_features

    with writing_below(folder):
        derived = make_features(
            folder,
            source,
            counter_set,
            name,
            metrics=tuple(part.strip() for part in metrics.split(",")),
            **({"alphas": alphas} if alphas else {}),
            ewma_start=ewma_start,
            coalesce_ns=coalesce_ns,
            combine=combine,
            denominator=denominator,
        )
    options = derived.set.options
    if as_json:
        told = {
            "features": str(derived.set.folder),
            "name": derived.set.name,
            "row_count": derived.row_count,
            "column_count": derived.column_count,
            "unknown_counts": derived.unknown_counts,
            "options": options.as_dict(),
        }
        click.echo(json.dumps(told, indent=1))
        return
    click.echo(f"counters: {options.source}, set {options.counter_set}")
    for column, count in derived.unknown_counts.items():
        if count:
            click.echo(f"{column} is unknown in {count:,} of {derived.row_count:,} rows; features.json says why")
    click.echo(f"features: {derived.set.folder} ({derived.row_count:,} rows, {derived.column_count} columns)")
