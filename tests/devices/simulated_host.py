"""A host of a simulated session that notes what it submits, so that the exact GPU can be given the same.

steps   | submit, gate, pass some time ... in the order drawn |
and on every completion the lane's next planned execution is submitted, in the ns of the completion
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from exact_inputs import Fault, Machine, Submission
from exact_progress import Stretch
from exact_rates import ONE, Kernel
from hypothesis import strategies as st

from cotenant.runners.protocol import Completion, LaneLost
from cotenant.runners.simulated.device_file import load_device
from cotenant.runners.simulated.device_schema import DeviceFile
from cotenant.runners.simulated.kernel_list import KernelList, kernel_list
from cotenant.runners.simulated.session import SimulatedSession

COLUMNS = ("gap_ns", "duration_ns", "sm", "l2", "dram", "spill", "footprint_bytes")


@dataclass(frozen=True)
class Order:
    """One execution to submit."""

    lane: int
    engine: int
    delay_ns: int = 0


@dataclass(frozen=True)
class Step:
    """Submit `orders`, in a gate that stays closed for `gate_ns` (None = no gate), then let `pass_ns` pass."""

    orders: Sequence[Order]
    gate_ns: int | None = None
    pass_ns: int = 0


def pct(units: int) -> float:
    """Return units as the percentage that stands for exactly them: a binary fraction that a float holds."""
    return units * 100 / ONE


def fault_entry(fault: Fault) -> dict[str, Any]:
    """Return a fault as a device file has it."""
    window = {"at_ns": fault.at_ns, "for_ns": fault.for_ns}
    if fault.kind == "clock_drop":
        return {**window, "part_ratio": fault.part / ONE}
    if fault.kind == "lazy_load":
        return {"gap_ns": fault.gap_ns}
    if fault.kind == "foreign_load":
        assert fault.kernel is not None
        demands = {name: pct(getattr(fault.kernel, name)) for name in ("sm", "l2", "dram")}
        return {**window, **demands, "footprint_bytes": fault.kernel.footprint_bytes}
    return {"lane": fault.lane, "at_ns": fault.at_ns}


def device_file(machine: Machine, noise_pct: float = 0.0) -> DeviceFile:
    """Return a device file with the facts of a machine; the others are those of a packaged device."""
    content = load_device("l4").model_dump(exclude={"sources"})
    content |= {"l2_bytes": machine.l2_bytes, "slice_ns": machine.slice_ns, "noise_pct": noise_pct}
    return DeviceFile.model_validate(content | {"faults": {fault.kind: fault_entry(fault) for fault in machine.faults}})


def listed(kernels: Sequence[Kernel]) -> KernelList:
    return kernel_list(
        [str(place) for place in range(len(kernels))],
        **{column: [getattr(kernel, column) for kernel in kernels] for column in COLUMNS},
    )


@dataclass
class Host:
    """Runs steps on a session and keeps what a record of the run has.

    Attributes:
        plans: Each lane's executions that follow completions, in order.
    """

    session: SimulatedSession
    engines: Sequence[Sequence[Kernel]]
    plans: Sequence[list[Order]]
    submissions: list[Submission] = field(default_factory=list)
    completions: dict[int, Completion] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lists = [listed(kernels) for kernels in self.engines]
        lanes = range(self.session.lane_count)
        self.loaded = [[self.session.load_kernels(lane, str(e), lists[e]) for e in range(len(lists))] for lane in lanes]

    def run(self, steps: Sequence[Step], until_ns: int) -> None:
        """Run until the clock shows `until_ns` or a lane is lost."""
        try:
            for step in steps:
                self._step(step)
            self._pass(until_ns)
        except LaneLost:
            return

    def _step(self, step: Step) -> None:
        if step.gate_ns is None:
            for order in step.orders:
                self._submit(order)
        else:
            first = len(self.submissions)
            try:
                with self.session.gate():
                    for order in step.orders:
                        self._submit(order)
                    self._pass(self.session.now_ns() + step.gate_ns)
            except LaneLost:
                del self.submissions[first:]  # the gate has dropped them
                raise
            opened_ns = self.session.now_ns()  # what followed completions meanwhile was in the gate as well
            self.submissions[first:] = [replace(s, gate_ns=opened_ns) for s in self.submissions[first:]]
        self._pass(self.session.now_ns() + step.pass_ns)

    def _submit(self, order: Order) -> None:
        now_ns = self.session.now_ns()
        ticket = self.session.submit(order.lane, self.loaded[order.lane][order.engine], order.delay_ns)
        assert ticket == len(self.submissions)
        factor = int(self.session.factors(ticket, 1)[0])
        self.submissions.append(Submission(order.lane, order.engine, now_ns, None, order.delay_ns, factor))

    def _pass(self, until_ns: int) -> None:
        while self.session.now_ns() < until_ns:
            for completion in self.session.wait(until_ns):
                assert completion.end_ns == self.session.now_ns()
                assert completion.ticket not in self.completions
                self.completions[completion.ticket] = completion
                if self.plans[completion.lane]:
                    self._submit(self.plans[completion.lane].pop(0))

    def stretches(self) -> list[Stretch]:
        """Return the session's own truth."""
        truth = self.session.truth()
        columns = (truth.t0_ns, truth.t1_ns, truth.lane, truth.ticket, truth.rate)
        return [Stretch(*row) for row in np.column_stack(columns).tolist()]


def orders(lane: st.SearchStrategy[int], engine_count: int) -> st.SearchStrategy[Order]:
    return st.builds(Order, lane, st.integers(0, engine_count - 1), st.sampled_from([0, 0, 0, 1, 7]))


def steps(lane_count: int, engine_count: int) -> st.SearchStrategy[list[Step]]:
    """Up to five steps; the first ones make lanes up to several executions deep."""
    some = st.lists(orders(st.integers(0, lane_count - 1), engine_count), min_size=1, max_size=4)
    gates = st.one_of(st.none(), st.just(0), st.integers(1, 15))
    return st.lists(st.builds(Step, some, gates, st.integers(0, 40)), min_size=1, max_size=5)


def plans(lane_count: int, engine_count: int) -> st.SearchStrategy[list[list[Order]]]:
    return st.tuples(*(st.lists(orders(st.just(lane), engine_count), max_size=6) for lane in range(lane_count))).map(
        list
    )
