"""The ways of splitting by name: a new one is a new file and a line here."""

from collections.abc import Callable, Mapping
from typing import Any

from cotenant.datasets.splits import concurrency, leave_one_model_out, models, random, run
from cotenant.datasets.splits.way import Way
from cotenant.models.errors import UserError

WAYS: dict[str, Callable[..., Way]] = {
    "random": random.Way,
    "run": run.Way,
    "models": models.Way,
    "concurrency": concurrency.Way,
    "leave-one-model-out": leave_one_model_out.Way,
}


def way_of(name: str, options: Mapping[str, Any]) -> Way:
    """Return a way with its options; lists become tuples.

    Raises:
        UserError: There is no such way, or it has no such option.
    """
    if name not in WAYS:
        raise UserError(f"there is no way {name!r} of splitting; ways are: {', '.join(WAYS)}")
    known = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    try:
        return WAYS[name](**known)
    except TypeError as error:
        raise UserError(f"splitting by {name} has no such option: {', '.join(known)}; see its --help") from error
