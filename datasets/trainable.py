"""Which predictors of the literature a dataset can train, and what it lacks for the others.

What each needs is what its paper or code reads: gpulets ATC'22, iGniter TPDS'23, Abacus SC'21, Prophet ASPLOS'17,
GPUPool PACT'22, Orion EuroSys'24, KACE SoCC'24, Echo arXiv 2412.12487, Mendoza EuroMLSys'21, Pitot MLSys'25, Horus
TPDS'22, Co-scheML, Strait arXiv 2604.28175.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
PROBE_FAMILY = "probe"
IGNITER_LEAST = 3  # batch sizes, and shares of the device, that its fit of the active time takes


@dataclass(frozen=True)
class Trainable:
    """One family of predictors.

    Attributes:
        lacks: What is missing, in plain words; () if it can be trained.
    """

    predictor: str
    lacks: tuple[str, ...]


@dataclass(frozen=True)
class Holdings:
    """What a dataset holds, as predictors ask for it.

    Attributes:
        tables: Rows of devices, engines, solo_profiles, throughputs, experiments and slowdowns.
        row_counts: Table -> rows, of all tables.
    """

    tables: Tables
    row_counts: Mapping[str, int]

    def counters(self, *columns: str) -> bool:
        """Tell whether one source and set has these columns for some network's engine."""
        return any(all(row.get(column) is not None for column in columns) for row in self._of_networks("throughputs"))

    def profile(self, *columns: str) -> bool:
        """Tell whether some network's solo profile has these columns."""
        return any(all(row.get(column) is not None for column in columns) for row in self._of_networks("solo_profiles"))

    def kinds(self, *kinds: str) -> int:
        """Return how many experiments of these kinds there are."""
        return sum(row["kind"] in kinds for row in self.tables["experiments"])

    def most_together(self) -> int:
        """Return how many tenants ran beside each other at most, in sets and pairs."""
        beside = [len(row["tenants"] or ()) for row in self.tables["experiments"] if row["kind"] in ("pair", "set")]
        return max(beside, default=0)

    def batches_and_shares(self) -> tuple[int, int]:
        """Return the most batch sizes that one network has, and the most shares that one engine has."""
        batches: dict[Any, set[Any]] = {}
        for row in self.tables["engines"]:
            if row["family"] != PROBE_FAMILY:
                batches.setdefault(row["model"], set()).add(row["batch_size"])
        shares: dict[Any, set[Any]] = {}
        for row in self._of_networks("solo_profiles"):
            shares.setdefault(row["engine_id"], set()).add(row["share_pct"])
        return max(map(len, batches.values()), default=0), max(map(len, shares.values()), default=0)

    def _of_networks(self, table: str) -> Iterator[Row]:
        families = {row["engine_id"]: row["family"] for row in self.tables["engines"]}
        return (row for row in self.tables[table] if families.get(row["engine_id"]) != PROBE_FAMILY)


def trainable(tables: Tables, row_counts: Mapping[str, int]) -> list[Trainable]:
    """Return every family of predictors with what the dataset lacks for it."""
    held = Holdings(tables, row_counts)
    return [Trainable(name, tuple(lacks(held))) for name, lacks in PREDICTORS.items()]


def _pairs(held: Holdings) -> Iterator[str]:
    if not held.kinds("pair", "set", "serving"):
        yield "executions beside each other (experiments `pair`, `set` or `serving`)"
    if not held.profile("span_p50_ns", "span_p95_ns"):
        yield "solo profiles (experiment `solo`)"


def _static(held: Holdings) -> Iterator[str]:
    yield from _pairs(held)
    if not held.counters("sm_pct", "l2_pct", "dram_pct"):
        yield "SM, L2 and DRAM throughputs of one counter source"


def _prospective(held: Holdings) -> Iterator[str]:
    yield from _static(held)
    if not held.kinds("serving"):
        yield "what was known at dispatch (experiment `serving`)"


def _gpulets(held: Holdings) -> Iterator[str]:
    yield from _pairs(held)
    if not held.counters("l2_pct", "memory_pct"):
        yield "L2 throughput and Memory [%] (counter set `paper`)"


def _igniter(held: Holdings) -> Iterator[str]:
    yield from _pairs(held)
    batches, shares = held.batches_and_shares()
    if batches < IGNITER_LEAST or shares < IGNITER_LEAST:
        yield f"solo profiles at {IGNITER_LEAST} batch sizes and {IGNITER_LEAST} shares (`lanes` with share_pct)"
    if held.most_together() < 3:
        yield "sets of two to five tenants (experiment `set`)"
    if not held.row_counts.get("telemetry"):
        yield "power and clock while running (telemetry)"


def _operator_ranges(held: Holdings) -> Iterator[str]:
    yield "executions of operator ranges: no experiment of this tool makes them"


def _kernel_metrics(held: Holdings) -> Iterator[str]:
    if not held.row_counts.get("kernels"):
        yield "kernels with their counters (counter set `paper`)"
    if not held.kinds("pair", "set"):
        yield "pairs of engines side by side (experiment `pair`)"


def _kernel_traces(held: Holdings) -> Iterator[str]:
    yield from _kernel_metrics(held)
    yield "kernel starts and ends while engines run beside each other: they are not recorded"


def _cells(held: Holdings) -> Iterator[str]:
    if not held.tables["slowdowns"] or not held.kinds("pair", "set", "imported"):
        yield "slowdowns of pairs or sets (experiments `pair`, `set`)"


def _graph_features(held: Holdings) -> Iterator[str]:
    yield from _pairs(held)
    if not held.profile("gpu_utilization_pct"):
        yield "GPU utilisation of each engine alone (counter source `nvml`)"


def _scheduler(held: Holdings) -> Iterator[str]:
    yield from _prospective(held)
    if not held.row_counts.get("requests"):
        yield "requests with deadlines (experiment `serving`)"
    yield from _copies(held)


def _copies(held: Holdings) -> Iterable[str]:
    return ("copy times to and from the device: serving does not ask for them",)


PREDICTORS: dict[str, Callable[[Holdings], Iterator[str]]] = {
    "constant mean, no counters": _pairs,
    "static, EWMA and time-weighted regression (the paper)": _static,
    "progress rate from overlap intervals": _static,
    "prospective forms, at dispatch": _prospective,
    "gpulets": _gpulets,
    "iGniter": _igniter,
    "Abacus": _operator_ranges,
    "KACE, Orion, Echo (kernel metrics)": _kernel_metrics,
    "Prophet, GPUPool (kernel traces)": _kernel_traces,
    "Mendoza, Pitot (factorisation of pairs and sets)": _cells,
    "Horus, Co-scheML (graph features and utilisation)": _graph_features,
    "Strait-like schedulers": _scheduler,
}
