"""Counters that somebody else measured: rows of throughputs and kernels, the same whichever file repeats them.

They come from two places: experiments, beside which a runner keeps what it knows of an engine, and the files of
counters/, one per engine that was profiled apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cotenant.datasets import raw, raw_counters
from cotenant.datasets.columns import KERNELS, THROUGHPUTS, Table
from cotenant.datasets.derive.measured import Measured
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.throughputs import COMPUTED
from cotenant.datasets.parquet import reading
from cotenant.datasets.raw_counters import CountersDamagedError, RawCounters, read_counters
from cotenant.models.errors import WorkError

Row = dict[str, Any]
NOT_REPORTED = "not_reported"


def counter_files(campaign: Path) -> list[Path]:
    """Return the files of a campaign folder's counters/, by id; none where it has none."""
    folder = campaign / raw_counters.COUNTERS
    return [folder / f"{found}{raw.SUFFIX}" for found in sorted(raw_counters.finished(folder))]


def open_counters(path: Path) -> RawCounters:
    """Read a counters file and check that it names its engine, device and counters; raises as `read_counters`."""
    with reading(path):
        found = read_counters(path)
    for part, names in (
        ("engine", ("engine_id",)),
        ("device", ("device_id",)),
        ("throughputs", ("counter_source", "counter_set", "aggregation")),
    ):
        own = found.metadata[part]
        if not isinstance(own, dict) or any(not isinstance(own.get(name), str) for name in names):
            raise CountersDamagedError(path, f"does not say {', '.join(names)} of its {part}")
    if found.metadata["throughputs"]["counter_source"] in COMPUTED:
        source = found.metadata["throughputs"]["counter_source"]
        raise CountersDamagedError(path, f"says that it is of source {source}, which is derived and never profiled")
    return found


class Counters:
    """Rows gathered file by file; several may repeat them for one engine, and must agree."""

    def __init__(self) -> None:
        self._found: dict[str, dict[tuple[Any, ...], tuple[str, Row]]] = {THROUGHPUTS.name: {}, KERNELS.name: {}}

    def add(self, measured: Measured, kernels: Iterable[Mapping[str, Any]]) -> None:
        """Take what an experiment's metadata and its sibling `kernels` say; WorkError where another says otherwise."""
        where, ids = f"experiment {measured.experiment_id}", {"device_id": measured.device_id}
        for counters in measured.metadata.get("counters") or ():
            self._add(where, THROUGHPUTS, {**counters, **ids})
        for kernel in kernels:
            self._add(where, KERNELS, {**kernel, **ids})

    def add_file(self, path: Path, found: RawCounters) -> None:
        """Take what a counters file says; WorkError where another file says otherwise."""
        facts = found.metadata
        whole = facts["throughputs"]
        ids = {"engine_id": facts["engine"]["engine_id"], "device_id": facts["device"]["device_id"]}
        where = f"{path.parent.name}/{path.name}"
        key = tuple({**whole, **ids}[name] for name in THROUGHPUTS.key)
        known = key in self._found[THROUGHPUTS.name]
        self._add(where, THROUGHPUTS, {**whole, **ids})
        names = {**ids, **{name: whole[name] for name in ("counter_source", "counter_set")}}
        kernels = found.kernels.to_pylist()
        if known and len(kernels) != sum(own[: len(key)] == key for own in self._found[KERNELS.name]):
            raise WorkError(f"{where} has another number of kernels than what repeats its counters; {KEEP_ONE}")
        for kernel in kernels:
            self._add(where, KERNELS, {**kernel, **names})

    @property
    def throughputs(self) -> list[Row]:
        """Rows of the throughputs table."""
        return [row for _, row in self._found[THROUGHPUTS.name].values()]

    @property
    def kernels(self) -> list[Row]:
        """Rows of the kernels table."""
        return [row for _, row in self._found[KERNELS.name].values()]

    def _add(self, where: str, table: Table, values: Mapping[str, Any]) -> None:
        row = _row(table, values)
        key = tuple(row[name] for name in table.key)
        first, before = self._found[table.name].setdefault(key, (where, row))
        differing = [name for name in row if row[name] != before[name]]
        if differing:
            raise WorkError(
                f"{table.name} of engine {row['engine_id']} by {row['counter_source']} have another {differing[0]} in "
                f"{where} than in {first}; {KEEP_ONE}"
            )


KEEP_ONE = "keep one of the two, and the other in a separate folder"


def _row(table: Table, values: Mapping[str, Any]) -> Row:
    """Return a complete row: what is null has the reason that came with it, or is not reported."""
    known = dict(values)
    told = dict(known.pop("null_reasons", None) or ())
    if table is KERNELS and known.get("measured_kernel_index") is None:
        known["measured_kernel_index"] = known["kernel_index"]
    if table is THROUGHPUTS:
        known["marks"] = sorted(known.get("marks") or ())
    reasons = {column.name: NOT_REPORTED for column in table.columns if column.nullable}
    return row_of(table, known, {**reasons, "isolation": "not_applicable", **told})


def engines_of(files: Sequence[RawCounters]) -> list[tuple[str, Row]]:
    """Return (where it stands, engine) of each file."""
    return [(f"counters {found.metadata['counter_id']}", found.metadata["engine"]) for found in files]


def devices_of(files: Sequence[RawCounters]) -> list[tuple[str, Row]]:
    """Return (where it stands, device) of each file."""
    return [(f"counters {found.metadata['counter_id']}", found.metadata["device"]) for found in files]
