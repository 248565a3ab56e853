"""What holds under any contention: work is conserved, one execution at a time, and nobody gets more than there is."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_lists import L2_BYTES, ONE, Kernel, device, everything, listed, opened

from cotenant.runners.protocol import Completion
from cotenant.runners.simulated.session import SimulatedSession

demand = st.integers(0, ONE)
kernel = st.builds(
    Kernel,
    duration=st.integers(1, 60),
    sm=demand,
    l2=demand,
    dram=demand,
    spill=st.integers(0, 2 * ONE),
    footprint=st.integers(0, 2 * L2_BYTES),
    gap=st.integers(0, 9),
)
lists = st.lists(st.lists(kernel, min_size=1, max_size=4), min_size=1, max_size=4)
modes = st.sampled_from(["streams", "mps", "green-contexts", "processes"])


def busy(kernels: list[list[Kernel]], mode: str, seed: int) -> tuple[SimulatedSession, list[Completion]]:
    session = opened(len(kernels), mode, device(noise_pct=2.0, slice_ns=50), seed)
    session.keep_truth()
    loaded = [session.load_kernels(lane, str(lane), listed(*each)) for lane, each in enumerate(kernels)]
    for _ in range(3):
        for lane, engine in enumerate(loaded):
            session.submit(lane, engine)
    return session, everything(session)


@settings(max_examples=80, deadline=None)
@given(lists, modes, st.integers(0, 9))
def test_work_is_conserved_and_lanes_keep_their_order(kernels: list[list[Kernel]], mode: str, seed: int) -> None:
    session, done = busy(kernels, mode, seed)
    truth = session.truth()
    assert len(done) == 3 * len(kernels)
    assert truth.rate.max() <= ONE
    for completion in done:
        mine = truth.ticket == completion.ticket
        spent = truth.t1_ns[mine] - truth.t0_ns[mine]
        assert truth.t0_ns[mine][0] == completion.start_ns
        assert truth.t1_ns[mine][-1] == completion.end_ns
        assert spent.sum() == completion.end_ns - completion.start_ns
        work = sum(k.gap + k.duration for k in kernels[completion.lane]) * int(session.factors(completion.ticket, 1)[0])
        excess = int((spent * truth.rate[mine]).sum()) - work
        assert 0 <= excess < truth.rate[mine][-1]
    for lane in range(len(kernels)):
        mine_in_order = [c for c in done if c.lane == lane]
        assert [c.ticket for c in mine_in_order] == list(range(lane, 3 * len(kernels), len(kernels)))
        assert all(first.end_ns <= second.start_ns for first, second in pairwise(mine_in_order))


@settings(max_examples=40, deadline=None)
@given(lists, modes, st.integers(0, 9))
def test_nobody_gets_more_than_there_is(kernels: list[list[Kernel]], mode: str, seed: int) -> None:
    session, done = busy(kernels, mode, seed)
    truth = session.truth()
    end_ns = max(c.end_ns for c in done)
    used = {name: np.zeros(end_ns, np.int64) for name in ("sm", "l2", "dram")}
    for completion in done:
        mine = truth.ticket == completion.ticket
        rates = np.repeat(truth.rate[mine], truth.t1_ns[mine] - truth.t0_ns[mine])
        factor = int(session.factors(completion.ticket, 1)[0])
        steps = [(length * factor, k) for k in kernels[completion.lane] for length in (k.gap, k.duration)]
        ends = np.cumsum([units for units, _ in steps])
        # the phase in which each ns begins; every second one is a kernel
        phases = np.searchsorted(ends, np.cumsum(rates) - rates, side="right")
        for name, total in used.items():
            demands = np.array([getattr(k, name) * (place % 2) for place, (_, k) in enumerate(steps)])
            total[completion.start_ns : completion.end_ns] += rates * demands[phases]
    for total in used.values():
        assert total.max() <= ONE * ONE + len(kernels) * ONE  # the least rate of 1 may come on top
