"""What a column and a table are, and the kinds of columns that tables are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from cotenant.datasets import words

WORD = pa.dictionary(pa.int32(), pa.string())  # few distinct values
TEXT = pa.string()
I64, I32, I16, F64, FLAG = pa.int64(), pa.int32(), pa.int16(), pa.float64(), pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
WORDS = pa.list_(pa.field("element", WORD, nullable=False))
IDS = pa.list_(pa.field("element", I64, nullable=False))
COUNTS = pa.list_(pa.field("element", I32, nullable=False))
PERCENTS = pa.list_(pa.field("element", F64, nullable=False))
SOME_TIMES = pa.list_(pa.field("element", I64))  # null elements: unknown ones among known ones
SOME_RATES = pa.list_(pa.field("element", F64))
WORD_MAP = pa.map_(pa.string(), pa.string())
COUNTER_MAX_PCT = 110.0  # what a profiler's replays may exceed the peak by

UNIT_SUFFIXES = {
    "_ns": "ns",
    "_bytes": "bytes",
    "_pct": "percent",
    "_ratio": "ratio",
    "_count": "count",
    "_mhz": "MHz",
    "_mw": "mW",
    "_c": "C",
    "flop_per_s": "flop/s",
    "bytes_per_s": "bytes/s",
    "items_per_s": "items/s",
}
NAMED_UNITS = {  # the design's names without a suffix
    "fraction": "ratio",
    "offered_load": "ratio",
    "lanes": "count",
    "replay_passes": "count",
    "concurrency": "count",
    "batch_size": "count",
}


@dataclass(frozen=True)
class Column:
    """One column of one table.

    Attributes:
        unit: What a value counts; "" if it is no quantity, or a plain index.
        words: The only values allowed (of the list's elements, of the map's values).
        low, high: Range of a number, both ends allowed.
        refers_to: `table.column` whose values it repeats.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    nullable: bool = False
    words: Mapping[str, str] | None = None
    low: float | None = None
    high: float | None = None
    refers_to: str | None = None


@dataclass(frozen=True)
class Table:
    """One table: what a row is, what makes it unique (rows are sorted by that), and its columns.

    Attributes:
        large: It is streamed, experiment by experiment, and its null reasons stand in `experiments`.
    """

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    large: bool = False

    def column(self, name: str) -> Column:
        """Return a column by name; KeyError otherwise."""
        return {column.name: column for column in self.columns}[name]


def text(name: str, meaning: str, nullable: bool = False, kind: pa.DataType = WORD) -> Column:
    """Return a column of words, or of texts that hardly repeat (`kind=TEXT`)."""
    return Column(name, kind, "", meaning, nullable)


def one_of(name: str, words_: Mapping[str, str], meaning: str, nullable: bool = False) -> Column:
    """Return a column that may hold these words only."""
    return Column(name, WORD, "", meaning, nullable, words_)


def refers(name: str, target: str, meaning: str, kind: pa.DataType = WORD) -> Column:
    """Return a column that repeats values of another table's column."""
    return Column(name, kind, "", meaning, refers_to=target)


def time_ns(name: str, meaning: str, nullable: bool = False, low: float | None = 0) -> Column:
    """Return a column of times or durations in ns; `low=None` for stamps of a clock, which may be negative."""
    return Column(name, I64, "ns", meaning, nullable, low=low)


def size_bytes(name: str, meaning: str, nullable: bool = False) -> Column:
    """Return a column of sizes in bytes."""
    return Column(name, I64, "bytes", meaning, nullable, low=0)


def count(name: str, meaning: str, nullable: bool = False, kind: pa.DataType = I64) -> Column:
    """Return a column that counts something."""
    return Column(name, kind, "count", meaning, nullable, low=0)


def index(name: str, meaning: str, nullable: bool = False, kind: pa.DataType = I32) -> Column:
    """Return a column of places: 0, 1 ..."""
    return Column(name, kind, "", meaning, nullable, low=0)


def ratio(name: str, meaning: str, nullable: bool = True) -> Column:
    """Return a column of ratios."""
    return Column(name, F64, "ratio", meaning, nullable, low=0)


def percent(name: str, meaning: str) -> Column:
    """Return a column of percentages, 0 to 100, null where unknown."""
    return Column(name, F64, "percent", meaning, True, low=0, high=100)


def counter_percent(name: str, meaning: str) -> Column:
    """Return a column of percentages as counters tell them: replays that differ slightly can make them exceed 100."""
    return Column(name, F64, "percent", meaning, True, low=0, high=COUNTER_MAX_PCT)


def clock(name: str, meaning: str) -> Column:
    """Return a column of clocks in MHz, null where unknown."""
    return Column(name, F64, "MHz", meaning, True, low=0)


def rate(name: str, unit: str, meaning: str, nullable: bool = True) -> Column:
    """Return a column of something per second."""
    return Column(name, F64, unit, meaning, nullable, low=0)


def bounded_ratio(name: str, meaning: str) -> tuple[Column, ...]:
    """Return the columns of a ratio and of its bounds."""
    return (
        ratio(f"{name}_ratio", f"{meaning} (1.0 = the same)"),
        ratio(f"{name}_lower_ratio", f"Lower bound of {name}_ratio"),
        ratio(f"{name}_upper_ratio", f"Upper bound of {name}_ratio"),
    )


def halves(name: str, meaning: str) -> tuple[Column, ...]:
    """Return the columns of a time in each half of a window, with bounds."""
    return tuple(
        time_ns(f"{name}_{half}_half{end}_ns", f"{told}{meaning} in the {half} half of the window", True)
        for half in ("first", "second")
        for end, told in (("", ""), ("_lower", "Lower bound of the "), ("_upper", "Upper bound of the "))
    )


def flag(name: str, meaning: str, nullable: bool = False) -> Column:
    """Return a column of truths."""
    return Column(name, FLAG, "", meaning, nullable)


NULLS = Column("null_reasons", WORD_MAP, "", "Column -> why it is null in this row", words=words.NULL_REASONS)
EXPERIMENT = refers("experiment_id", "experiments.experiment_id", "Experiment")
DEVICE = refers("device_id", "devices.device_id", "Device")
ENGINE = refers("engine_id", "engines.engine_id", "Engine")
KIND = one_of("kind", words.meanings(words.KINDS), "Kind of experiment")
ROW_KEYS = (EXPERIMENT, DEVICE, KIND)
