"""cotenant dataset trace: what ran when, as a timeline to look at."""

import json
from pathlib import Path

import click

from cotenant.profiler.cli.options import dataset_argument, json_option


@click.command("trace")
@dataset_argument
@click.argument("experiment", required=False)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), show_default="<experiment_id>.trace.json here",
    help="The file to write.",
)  # fmt: skip
@json_option
def command(folder: Path, experiment: str | None, out: Path | None, as_json: bool) -> None:
    """Write a timeline of one EXPERIMENT of the dataset in DIR; without EXPERIMENT, list them.

    EXPERIMENT is an id, the beginning of one, or a number of the list. The file is in the JSON trace event format: open
    it in https://ui.perfetto.dev or chrome://tracing. It shows the executions of each lane, the windows of blocks, how
    many run, and of serving the requests with an arrow to their batch and the length of the queues. Times count from
    `origin_ns`, which stands at the head of the file.

    \b
    Examples:
      cotenant dataset trace data
      cotenant dataset trace data 3 --out pair.json
    """
    from cotenant.datasets.trace import chosen, experiment_list, write_trace

    if experiment is None:
        _list(experiment_list(folder), as_json)
        return
    experiment_id = str(chosen(experiment_list(folder), experiment)["experiment_id"])
    done = write_trace(folder, experiment_id, out or Path(f"{experiment_id}.trace.json"))
    if as_json:
        told = {"path": str(done.path), "experiment_id": done.experiment_id, "event_count": done.event_count}
        click.echo(json.dumps(told))
    else:
        click.echo(f"{done.event_count:,} events of experiment {done.experiment_id}: {done.path}")


def _list(experiments: list[dict[str, object]], as_json: bool) -> None:
    names = ("experiment_id", "kind", "deployed_models", "condition", "execution_count")
    if as_json:
        click.echo(json.dumps([{name: row[name] for name in names} for row in experiments], indent=1))
        return
    for number, row in enumerate(experiments, start=1):
        models = ", ".join(map(str, row["deployed_models"] or ()))  # type: ignore[call-overload]
        click.echo(
            f"{number:4} {row['experiment_id']} {row['kind']:12} {row['execution_count']:>9,} executions  {models}"
        )
