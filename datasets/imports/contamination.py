"""The same numbers under different keys: stale result files read again as new, which one public campaign is full of."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cotenant.datasets.imports.pair_records import PairRecord, TenantRecord

EXAMPLES = 3
KEY_PARTS: dict[str, Callable[[TenantRecord], object]] = {
    "model": lambda tenant: tenant.model,
    "batch": lambda tenant: tenant.batch_size,
    "share": lambda tenant: tenant.share_pct,
}


@dataclass(frozen=True)
class Contamination:
    """What repeats among the rows that tell how tenants ran beside each other.

    Attributes:
        repeat_count: Rows whose numbers an earlier row has too, all of them to the last digit.
        examples: Pairs of lines with the same numbers, the first ones.
        without_effect: Parts of the key that changed between rows without changing any number.
    """

    row_count: int
    repeat_count: int
    examples: list[tuple[int, int]]
    without_effect: list[str]

    def lines(self) -> Iterator[str]:
        """Yield what a person reads; nothing where no row repeats another."""
        if not self.repeat_count:
            return
        distinct = self.row_count - self.repeat_count
        yield (
            f"{self.repeat_count} of {self.row_count} rows repeat the numbers of an earlier row to the last digit "
            f"({distinct} distinct): stale result files read again?"
        )
        yield "for example " + ", ".join(f"line {later} repeats line {first}" for first, later in self.examples)
        if self.without_effect:
            yield f"no number depends on: {', '.join(self.without_effect)}"


def contamination(records: Sequence[PairRecord]) -> Contamination:
    """Find the rows with a co-run time whose numbers all stand in an earlier one."""
    rows = [record for record in records if record.is_co_run]
    seen: dict[object, int] = {}
    repeats = []
    for record in rows:
        first = seen.setdefault(_numbers(record), record.line)
        if first != record.line:
            repeats.append((first, record.line))
    without = [part for part in KEY_PARTS if repeats and _has_no_effect(rows, part)]
    return Contamination(len(rows), len(repeats), repeats[:EXAMPLES], without)


def _numbers(record: PairRecord) -> object:
    return tuple(tuple(sorted(tenant.times_ns.items())) for tenant in record.tenants)


def _has_no_effect(rows: Sequence[PairRecord], part: str) -> bool:
    """Tell whether rows that differ in this part of their key alone always have the same numbers."""
    others = [read for name, read in KEY_PARTS.items() if name != part]
    groups: dict[object, tuple[set[object], set[object]]] = {}
    for row in rows:
        rest = tuple(tuple(read(tenant) for read in others) for tenant in row.tenants)
        values, numbers = groups.setdefault(rest, (set(), set()))
        values.add(tuple(KEY_PARTS[part](tenant) for tenant in row.tenants))
        numbers.add(_numbers(row))
    changed = [numbers for values, numbers in groups.values() if len(values) > 1]
    return bool(changed) and all(len(numbers) == 1 for numbers in changed)
