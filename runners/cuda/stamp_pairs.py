"""What two stamps with nothing between them show: the part of every span that is the stamps' own."""

import statistics
from functools import partial

from cotenant.runners.cuda.gate import Gate, Hold
from cotenant.runners.cuda.gpu import Gpu
from cotenant.runners.cuda.stamps import Stamps

PAIRS = 50


def stamp_pair_ns(gpu: Gpu, stamps: Stamps, stream: int) -> int:
    """Return the median length of empty spans on an idle stream, each queued behind a gate as executions are."""
    gate, lengths_ns = Gate(gpu), []
    for _ in range(PAIRS):
        marks: list[int] = []
        gate.pass_through(partial(_queue, stamps, stream, gate.next_hold(), marks))
        gpu.synchronize(stream)
        start_ns, end_ns = stamps.times(marks)
        lengths_ns.append(end_ns - start_ns)
        stamps.release(marks)
    return round(statistics.median(lengths_ns))


def _queue(stamps: Stamps, stream: int, hold: Hold, marks: list[int]) -> None:
    hold(stream)
    marks += [stamps.mark(stream), stamps.mark(stream)]
