"""Three ways to the same overlap intervals: cotenant's sweep, polars' interval join, and an interval tree.

Libraries are imported when a way is called, so that whoever times them decides first how many threads they have.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Rows = tuple[Ints, Ints, Ints, Ints, Ints]  # execution, start, end, how many others, all others one after the other


def by_sweep(start_ns: Ints, end_ns: Ints) -> Any:
    from cotenant.datasets.overlap import overlap_intervals

    return overlap_intervals(start_ns, end_ns)


def rows_of_sweep(found: Any) -> Rows:
    return found.execution_index, found.start_ns, found.end_ns, found.co_count.astype(np.int64), found.co_index


def by_join(start_ns: Ints, end_ns: Ints) -> Any:
    """Join executions that overlap, cut each at what begins or ends within it, and list who covers each piece."""
    import polars as pl

    own = pl.LazyFrame({"execution": np.arange(len(start_ns)), "start": start_ns, "end": end_ns})
    other = own.rename(lambda name: f"co_{name}")
    overlapping = pl.col("start") < pl.col("co_end"), pl.col("co_start") < pl.col("end")
    met = own.join_where(other, *overlapping).filter(pl.col("execution") != pl.col("co_execution")).collect().lazy()
    stamps = [
        own.select("execution", at="start"),
        own.select("execution", at="end"),
        met.select("execution", at=pl.max_horizontal("start", "co_start")),
        met.select("execution", at=pl.min_horizontal("end", "co_end")),
    ]
    pieces = (
        pl.concat(stamps)
        .unique()
        .sort("execution", "at")
        .with_columns(until=pl.col("at").shift(-1).over("execution"))
        .drop_nulls()
    )
    covering = (
        pieces.join(met.select("execution", "co_execution", "co_start", "co_end"), on="execution")
        .filter((pl.col("co_start") <= pl.col("at")) & (pl.col("co_end") >= pl.col("until")))
        .sort("execution", "at", "co_execution")
        .group_by("execution", "at", maintain_order=True)
        .agg("co_execution")
    )
    return pieces.join(covering, on=["execution", "at"], how="left").sort("execution", "at").collect()


def rows_of_join(found: Any) -> Rows:
    others = found["co_execution"]
    execution, at, until = (found[name].to_numpy() for name in ("execution", "at", "until"))
    return execution, at, until, others.list.len().fill_null(0).to_numpy(), others.explode().drop_nulls().to_numpy()


def by_tree(start_ns: Ints, end_ns: Ints) -> Any:
    """Ask a tree of all executions who overlaps each, and cut it likewise."""
    from intervaltree import Interval, IntervalTree

    spans = list(zip(start_ns.tolist(), end_ns.tolist(), strict=True))
    tree = IntervalTree(Interval(start, end, execution) for execution, (start, end) in enumerate(spans))
    rows = []
    for execution, (start, end) in enumerate(spans):
        met = sorted((co.data, co.begin, co.end) for co in tree.overlap(start, end) if co.data != execution)
        stamps = sorted({start, end, *(s for _, s, _ in met if s > start), *(e for _, _, e in met if e < end)})
        for at, until in pairwise(stamps):
            rows.append((execution, at, until, [co for co, s, e in met if s <= at and e >= until]))
    return rows


def rows_of_tree(found: Any) -> Rows:
    execution, at, until, others = zip(*found, strict=True)
    flat = [co for own in others for co in own]
    counts = [len(own) for own in others]
    return np.array(execution), np.array(at), np.array(until), np.array(counts), np.array(flat)


WAYS: dict[str, tuple[Callable[[Ints, Ints], Any], Callable[[Any], Rows]]] = {
    "sweep": (by_sweep, rows_of_sweep),
    "join_where": (by_join, rows_of_join),
    "intervaltree": (by_tree, rows_of_tree),
}
