"""Executions as starts and ends on one clock, whichever tool stamped them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Stamps:
    """One tenant's executions, in order of their starts; none begins before the one before it has ended.

    Attributes:
        h2d_ns, d2h_ns: Copies of each; None where they were not made, or are not told.
    """

    start_ns: Ints
    end_ns: Ints
    h2d_ns: Ints | None = None
    d2h_ns: Ints | None = None
