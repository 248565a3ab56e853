"""Options that mean the same in every command."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

DIGITS_MAX = 9  # of a batch size; how large it may be, the model says
PRECISIONS = ("fp32", "fp16")
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
ANY_FOLDER = click.Path(path_type=Path)


def _batch_sizes(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(_batch_size(part.strip()) for value in values for part in value.split(","))


def _batch_size(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else 0
    if number < 1:
        shown = text if len(text) <= DIGITS_MAX else f"{text[:DIGITS_MAX]}..."
        raise click.BadParameter(f"{shown!r} is no batch size; give whole numbers from 1, as in 8 or 1,2,4")
    return number


model_option = click.option(
    "--model",
    "models",
    multiple=True,
    required=True,
    metavar="NAME",
    help="A model of the zoo (resnet50, resnet50:image=96), your own (file:net.onnx), or a probe (probe:dram:100)."
    " Repeatable.",
)
batch_option = click.option(
    "--batch",
    "batch_sizes",
    metavar="SIZES",
    multiple=True,
    default=("1",),
    show_default=True,
    callback=_batch_sizes,
    help="Batch sizes, as in 8 or 1,2,4. Repeatable.",
)
precision_option = click.option(
    "--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True, help="Of weights and activations."
)
cache_option = click.option(
    "--cache",
    type=ANY_FOLDER,
    default=None,
    show_default="your cache folder",
    help="Where built engines and weights are kept.",
)
out_option = click.option(
    "--out",
    type=ANY_FOLDER,
    default=None,
    show_default="a new folder here, named after what is asked",
    help="The campaign folder. The same command on the same folder goes on where it stopped.",
)
busy_option = click.option(
    "--allow-busy",
    is_flag=True,
    envvar="COTENANT_ALLOW_BUSY",
    help="Measure although others keep the device busy; every experiment is then marked.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
dataset_argument = click.argument("folder", metavar="DIR", type=EXISTING_FOLDER)

_where_options = (
    click.option("--runner", default="onnxruntime-cpu", show_default=True, help="What builds and executes engines."),
    click.option(
        "--device",
        default=None,
        show_default="the runner's first",
        help="Index, name or UUID; to build, a target too (sm_89).",
    ),
    click.option(
        "--lanes",
        type=click.IntRange(1, 64),
        default=2,
        show_default=True,
        help="How many sequences of executions run at once.",
    ),
    click.option("--isolation", default=None, show_default="the runner's first", help="What separates the lanes."),
    click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=None,
        show_default="fp16 on tensorrt and torch-cuda, else fp32",
        help="Of weights and activations.",
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Decides every random choice."),
)


def where_options(body: Command) -> Command:
    """Add the options that say where and how to measure; the command gets them as one `where`."""

    @wraps(body)
    def with_where(
        runner: str,
        device: str | None,
        lanes: int,
        isolation: str | None,
        precision: Any,
        seed: int,
        **others: Any,
    ) -> Any:
        from cotenant.profiler.campaign.shortcuts import Where

        where = Where(runner=runner, device=device, lanes=lanes, isolation=isolation, precision=precision, seed=seed)
        return body(where=where, **others)

    decorated: Any = with_where
    for option in reversed(_where_options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
