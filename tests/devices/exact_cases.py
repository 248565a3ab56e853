"""Random small machines, kernel lists and submissions for whatever is held against the exact GPU."""

from collections.abc import Sequence
from fractions import Fraction

from exact_inputs import Fault, Machine, Submission
from exact_rates import ONE, Kernel
from hypothesis import strategies as st

ISOLATIONS = ("streams", "mps", "green-contexts", "processes")
L2_BYTES = 2**16

demands = st.one_of(st.sampled_from([0, ONE // 4, ONE // 3, ONE // 2, ONE]), st.integers(0, ONE))
factors = st.one_of(st.just(ONE), st.integers(ONE * 9 // 10, ONE * 11 // 10), st.sampled_from([1, ONE // 7, 2 * ONE]))
kernels = st.builds(
    Kernel,
    gap_ns=st.integers(0, 4),
    duration_ns=st.integers(0, 12),
    sm=demands,
    l2=demands,
    dram=demands,
    spill=st.one_of(st.just(0), st.integers(0, 2 * ONE)),
    footprint_bytes=st.one_of(st.just(0), st.integers(1, 2 * L2_BYTES)),
)
foreign_kernels = st.builds(
    Kernel, sm=demands, l2=demands, dram=demands, footprint_bytes=st.sampled_from([0, L2_BYTES // 3, L2_BYTES])
)
engines = st.lists(st.lists(kernels, max_size=5), min_size=1, max_size=3)


@st.composite
def shares(draw: st.DrawFn, isolation: str, lane_count: int) -> Sequence[float | None]:
    """Shares in tenths of a percent; those of green contexts add up to at most 100 %."""
    found: list[float | None] = [None] * lane_count
    if isolation not in ("mps", "green-contexts"):
        return found
    left = 1000
    for lane in range(lane_count):
        most = left - (lane_count - 1 - lane) if isolation == "green-contexts" else 1000  # leave something for others
        if draw(st.booleans()):
            tenths = draw(st.integers(1, most))
            left -= tenths
            found[lane] = tenths / 10
    if isolation == "green-contexts" and sum(Fraction(share) for share in found if share is not None) > 100:
        return [None] * lane_count  # decimals are rounded, and their sum may be a hair above
    return found


@st.composite
def faults(draw: st.DrawFn, lane_count: int) -> Sequence[Fault]:
    """At most one of each kind, begun within the first 80 ns."""
    lanes = st.integers(0, lane_count - 1)
    begins, lasts = st.integers(0, 80), st.integers(1, 60)
    kinds = {
        "clock_drop": st.builds(Fault, st.just("clock_drop"), begins, lasts, part=st.integers(1, ONE)),
        "foreign_load": st.builds(Fault, st.just("foreign_load"), begins, lasts, kernel=foreign_kernels),
        "lane_death": st.builds(Fault, st.just("lane_death"), begins, lane=lanes),
        "hang": st.builds(Fault, st.just("hang"), begins, lane=lanes),
        "lazy_load": st.builds(Fault, st.just("lazy_load"), gap_ns=st.integers(1, 9)),
    }
    return [draw(kinds[kind]) for kind in sorted(draw(st.sets(st.sampled_from(sorted(kinds)), max_size=2)))]


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    lane_count = draw(st.integers(2, 4))
    isolation = draw(st.sampled_from(ISOLATIONS))
    slice_ns = draw(st.integers(1, 30))
    return Machine(
        share_pct=draw(shares(isolation, lane_count)),
        isolation=isolation,
        l2_bytes=L2_BYTES,
        slice_ns=slice_ns,
        slice_phase_ns=draw(st.integers(0, slice_ns - 1)),
        faults=draw(st.one_of(st.just(()), faults(lane_count))),
    )


@st.composite
def submissions(draw: st.DrawFn, lane_count: int, engine_count: int) -> list[Submission]:
    """Up to a dozen, in the order of their times."""
    times = sorted(draw(st.lists(st.integers(0, 100), min_size=1, max_size=12)))
    found = []
    for time in times:
        gate_ns = draw(st.one_of(st.none(), st.integers(time, time + 20)))
        lane, engine = draw(st.integers(0, lane_count - 1)), draw(st.integers(0, engine_count - 1))
        delay_ns = draw(st.sampled_from([0, 0, 1, 7]))
        found.append(Submission(lane, engine, time, gate_ns, delay_ns, draw(factors)))
    return found
