"""Features of one window's executions that come from counters: their own, and those of who ran beside them."""

import numpy as np
from numpy.typing import NDArray

from cotenant.datasets.features.kernel import at_dispatch, over_intervals
from cotenant.datasets.features.options import FeatureOptions
from cotenant.datasets.features.windows import Window
from cotenant.datasets.overlap import overlap_intervals

Floats = NDArray[np.float64]


def co_runner_features(
    window: Window, open_loop: NDArray[np.bool_], throughputs: Floats, options: FeatureOptions
) -> dict[str, Floats]:
    """Return the columns self_*, static_*, static_start_*, ewma_*, weighted_*; NaN where unknown.

    Args:
        open_loop: Which rows are batches of requests; of all others static_* is unknown.
        throughputs: Engine x metric; NaN where unknown.
    """
    stamps, names = window.stamps, options.columns
    own = stamps.code[window.first : window.last]
    found = overlap_intervals(stamps.start_ns, stamps.end_ns)
    edges = np.zeros(len(stamps) + 1, np.int64)
    np.cumsum(np.bincount(found.execution_index, minlength=len(stamps)), out=edges[1:])
    beside = over_intervals(
        window.first, window.last, edges, found.start_ns, found.end_ns, found.co_offsets, found.co_index, stamps.code,
        throughputs, np.array(options.alpha_values), options.ewma_start == "zero", options.coalesce_ns,
        options.combine == "max",
    )  # fmt: skip
    columns = {f"self_{name}": throughputs[own, metric] for metric, name in enumerate(names)}
    for place, group in enumerate(["static_start", *(f"ewma_{label}" for label in options.labels), "weighted"]):
        for metric, name in enumerate(names):
            columns[f"{group}_{name}"] = beside[place * len(names) + metric]
    static = _static(window, open_loop, throughputs, options)
    return columns | {f"static_{name}": static[metric] for metric, name in enumerate(names)}


def is_static(name: str, options: FeatureOptions) -> bool:
    """Whether a column is of the co-runners at dispatch."""
    return name in {f"static_{column}" for column in options.columns}


def _static(window: Window, asked: NDArray[np.bool_], throughputs: Floats, options: FeatureOptions) -> Floats:
    stamps, own = window.stamps, slice(window.first, window.last)
    found = np.full((len(options.columns), len(asked)), np.nan)
    if asked.any():
        by_start = np.argsort(stamps.start_ns, kind="stable")
        found[:, asked] = at_dispatch(
            stamps.dispatched_ns[own][asked], stamps.lane[own][asked], by_start, stamps.start_ns, stamps.end_ns,
            stamps.lane, stamps.code, throughputs, options.combine == "max",
        )  # fmt: skip
    return found
