"""Short ways to write a case that a person can work out on paper, and to run it on the exact GPU."""

from collections.abc import Sequence

from exact_gpu import ExactGpu
from exact_inputs import Machine, Submission
from exact_progress import Stamps
from exact_rates import ONE, Kernel

H = ONE // 2
TWO = Machine([None, None])


def whole(*durations_ns: int, gap_ns: int = 0) -> list[Kernel]:
    """Kernels that want every SM."""
    return [Kernel(gap_ns=gap_ns, duration_ns=duration_ns, sm=ONE) for duration_ns in durations_ns]


def stamps(
    machine: Machine,
    engines: Sequence[Sequence[Kernel]],
    submissions: Sequence[Submission],
    until_ns: int | None = None,
    gpu: type[ExactGpu] = ExactGpu,
) -> list[tuple[int | None, int | None]]:
    found: Stamps = gpu(machine, engines, submissions).run(until_ns)
    return list(zip(found.start_ns, found.end_ns, strict=True))


def each_at_0(lane_count: int) -> list[Submission]:
    """Lane i runs engine i once, from 0."""
    return [Submission(lane, lane, 0) for lane in range(lane_count)]


def first_rates(machine: Machine, engines: Sequence[Sequence[Kernel]]) -> list[int]:
    gpu = ExactGpu(machine, engines, each_at_0(len(engines)))
    gpu.at(0)
    return [gpu.rates[lane] for lane in range(len(engines))]
