"""cotenant dataset split: which executions a predictor is fitted on, and which it is judged on."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cotenant.profiler.cli.faults import writing_below
from cotenant.profiler.cli.options import dataset_argument, json_option

if TYPE_CHECKING:
    from cotenant.datasets.splits.derive import Made

WAYS = ("random", "run", "models", "concurrency", "leave-one-model-out")


@click.command("split")
@dataset_argument
@click.option("--by", "way", type=click.Choice(WAYS), default="run", show_default=True, help="How to split.")
@click.option("--seed", type=click.IntRange(0), help="random, run: decides the sides.  [default: 0]")
@click.option("--train-ratio", type=float, metavar="X", help="random, run: part of the training side.  [default: 0.75]")
@click.option(
    "--train-model", "train_models", multiple=True, metavar="NAME", help="models: a training model. Repeatable."
)
@click.option(
    "--train-load",
    "train_loads",
    multiple=True,
    type=float,
    metavar="X",
    help="models: an offered load of the training set; others are test1. Repeatable.",
)
@click.option("--train-most", type=int, metavar="N", help="concurrency: executions at once in training.  [default: 2]")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="leave-one-model-out: a model to leave out; all by default. Repeatable.",
)
@click.option("--name", help="Name of the split; the way's by default. One of the same name is replaced.")
@json_option
def command(folder: Path, way: str, name: str | None, as_json: bool, **chosen: Any) -> None:
    """Split the executions of the dataset in DIR into parts, and say what leaks.

    \b
    random               each execution by itself, as in the paper: its neighbours in time are on the other side
    run                  whole experiments
    models               the paper's Training Set and Test Sets 1 (other loads), 2 (unseen models), 3 (both together),
                         by --train-model and --train-load, or by the runs' condition (train, test1, test2, test3)
    concurrency          few at once against many
    leave-one-model-out  one split for each model

    Every execution gets a part, censored ones too: what counts in a score is said by its filter. The table lies in
    dataset/splits/<name>/.

    \b
    Examples:
      cotenant dataset split data --by random --seed 3 --name random-3
      cotenant dataset split data --by models --train-model resnet50 --train-model vgg11 --train-load 0.4
    """
    from cotenant.datasets.splits.derive import make_split

    options = {key: value for key, value in chosen.items() if value not in (None, ())}
    with writing_below(folder):
        made = make_split(folder, way, name, **options)
    if as_json:
        told = {"folder": str(made.stored.folder), "splits": [tally.as_dict() for tally in made.tallies]}
        click.echo(json.dumps(told, indent=1))
    else:
        _tell(made)


def _tell(made: "Made") -> None:
    for tally in made.tallies:
        facts = tally.as_dict()
        click.echo(f"split {facts['split']}:")
        for part, counts in facts["parts"].items():
            rows, training = counts["row_count"], counts["training_row_count"]
            click.echo(
                f"  {part}: {rows:,} rows, {training:,} of them count, from {counts['training_run_count']:,} runs"
            )
        if facts["neighbour_count"]:
            click.echo(
                f"  LEAK, by design of a split of single executions: {facts['neighbour_count']:,} follow one of "
                f"another side in the same run ({facts['shared_run_count']:,} runs are on several sides), so "
                "scores flatter; compare with --by run"
            )
    click.echo(f"splits: {made.stored.folder}")
