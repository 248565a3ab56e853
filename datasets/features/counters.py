"""Which counter source and set features use, and each engine's throughputs by it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.columns import THROUGHPUTS
from cotenant.models.errors import UserError

PREFERRED = ("ncu", "gpm", "simulated", "probe", "analytic")  # measured on the device, the device's own law, estimates
PROBE_PREFIX = "probe:"
NO_ROW = "no_counters"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class EngineThroughputs:
    """Throughputs of a device's engines.

    Attributes:
        values: Engine x metric; NaN where unknown.
        reasons: Why, at the same places; "" where it is known.
    """

    values: NDArray[np.float64]
    reasons: NDArray[np.object_]


def check_columns(columns: Sequence[str]) -> None:
    """Refuse metrics that the throughputs table does not have."""
    known = {column.name for column in THROUGHPUTS.columns}
    missing = [name for name in columns if name not in known]
    if missing:
        raise UserError(f"the throughputs table has no {', '.join(missing)}; choose other metrics")


def throughputs_of(
    rows: Iterable[Row], engine_ids: Sequence[str], device_id: str, choice: tuple[str, str], columns: Sequence[str]
) -> EngineThroughputs:
    """Return the chosen source's and set's throughputs of all engines on a device."""
    place = {engine_id: index for index, engine_id in enumerate(engine_ids)}
    shape = (len(engine_ids), len(columns))
    found = EngineThroughputs(np.full(shape, np.nan), np.full(shape, NO_ROW, dtype=object))
    for row in rows:
        if row["device_id"] != device_id or _choice(row) != choice or row["engine_id"] not in place:
            continue
        why = dict(row["null_reasons"])
        for metric, name in enumerate(columns):
            at = place[row["engine_id"]], metric
            value = row[name]
            found.values[at] = np.nan if value is None else value
            found.reasons[at] = why.get(name, NO_ROW) if value is None else ""
    return found


def chosen_counters(
    rows: Sequence[Row],
    used: Mapping[tuple[str, str], str],
    columns: Sequence[str],
    source: str | None = None,
    counter_set: str | None = None,
) -> tuple[str, str]:
    """Return the source and set to use: the preferred one among those that tell most engines' metrics.

    Args:
        used: (engine, device) that executed -> the engine's model; probes need no throughputs.
        source, counter_set: What the user wants; None leaves it open.

    Raises:
        UserError: No row of the throughputs table is of such a source and set.
    """
    needed = {key for key, model in used.items() if not model.startswith(PROBE_PREFIX)}
    told: dict[tuple[str, str], int] = {}
    for row in rows:
        choice = _choice(row)
        if source not in (None, choice[0]) or counter_set not in (None, choice[1]):
            continue
        known = (row["engine_id"], row["device_id"]) in needed and all(row[name] is not None for name in columns)
        told[choice] = told.get(choice, 0) + known
    if not told:
        there = ", ".join(sorted({f"{s} (set {c})" for s, c in map(_choice, rows)})) or "none"
        wanted = " ".join(word for word in (source, counter_set) if word)
        raise UserError(f"no throughputs{' of ' + wanted if wanted else ''} in this dataset; there are: {there}")
    return min(told, key=lambda choice: (-told[choice], _rank(choice[0]), choice))


def _choice(row: Row) -> tuple[str, str]:
    return row["counter_source"], row["counter_set"]


def _rank(source: str) -> int:
    return PREFERRED.index(source) if source in PREFERRED else len(PREFERRED)
