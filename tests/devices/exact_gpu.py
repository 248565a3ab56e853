"""A second simulated GPU, slow and exact, written from docs/decisions/0010 alone: what the first one is held against.

It is no session: it gets every submission at once and gives every stamp.

    lane 0   |gap|kernel   |gap|kernel |          position of an execution = units done since its start; a phase lasts
    lane 1        |gap|kernel     |gap|kernel|    while the position is below the units of all phases up to its own
    instants ^   ^    ^     ^   ^  ^ ...          between two of them every rate is constant

Small methods can be overridden one at a time: tests plant defects through them.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from exact_inputs import Fault, Machine, Submission
from exact_progress import Phase, Progress, Stamps, Stretch
from exact_rates import ONE, Kernel, kernel_rates, share_units


class ExactGpu:
    """The law of the record, an instant at a time."""

    def __init__(
        self, machine: Machine, engines: Sequence[Sequence[Kernel]], submissions: Sequence[Submission]
    ) -> None:
        self.machine = machine
        self.engines = engines
        self.submissions = submissions
        self.lanes = range(len(machine.share_pct))
        self.q = share_units(machine.isolation, machine.share_pct)
        self.queues = {lane: [i for i, s in enumerate(submissions) if s.lane == lane] for lane in self.lanes}
        self.running: dict[int, Progress] = {}
        self.rates: dict[int, int] = {}
        self.last_end_ns = dict.fromkeys(self.lanes, 0)
        self.lost: set[int] = set()
        self.warm: set[tuple[int, int]] = set()
        self.turn = self.lanes[-1]  # "Before the first instant the lane with the highest number has it."
        self.now = 0
        self.host_done_ns = -1  # what the host did up to here, the device knows
        self.stamps = Stamps([None] * len(submissions), [None] * len(submissions))

    def run(self, until_ns: int | None = None) -> Stamps:
        """Go through every instant up to and including `until_ns`, which a lane that hangs makes necessary."""
        if until_ns is None and any(fault.kind == "hang" for fault in self.machine.faults):
            raise ValueError("with a hang the time never ends: give until_ns")
        t: int | None = 0
        while t is not None and (until_ns is None or t <= until_ns):
            self.at(t)
            t = self.next_instant()
        if until_ns is not None:
            self.book(until_ns)
        return self.stamps

    def at(self, t: int) -> None:
        """The order of things "at one instant T"."""
        self.book(t)
        self.end_phases(t)
        self.begin_and_end_faults(t)
        self.pass_turn(t, boundary=self.is_boundary(t))
        self.start(t)
        self.rates = self.rates_anew(t)
        # "What the host submits at T, it submits after all this; then turn, starts and rates are done once more"
        self.host_done_ns = t
        self.pass_turn(t, boundary=False)
        self.start(t)
        self.rates = self.rates_anew(t)

    # Progress

    def book(self, t: int) -> None:
        """Implement "progress up to T is booked"."""
        for lane, progress in sorted(self.running.items()):
            if t > self.now:
                self.stamps.stretches.append(Stretch(self.now, t, lane, progress.execution, self.rates[lane]))
            self.advance(progress, (t - self.now) * self.rates[lane])
        self.now = t

    def advance(self, progress: Progress, units: int) -> None:
        """What was done beyond a phase's end counts for the next, as the position is one for all phases."""
        progress.done_units += units

    def end_phases(self, t: int) -> None:
        """Implement "phases without units left end, and with the last phase its execution (end stamp T)"."""
        for lane, progress in sorted(self.running.items()):
            if progress.is_over:
                self.stamps.end_ns[progress.execution] = t
                self.last_end_ns[lane] = t
                del self.running[lane]

    def next_instant(self) -> int | None:
        """The next time after now at which anything happens."""
        times = [
            self.now + ceil(Fraction(p.units_left, self.rates[k])) for k, p in self.running.items() if self.rates[k]
        ]
        times += [s.dispatched_ns for s in self.submissions] + [s.host_ns for s in self.submissions]
        times += [ready for lane in self.lanes if (ready := self.ready_ns(lane)) is not None]
        times += [fault.at_ns for fault in self.machine.faults]
        times += [fault.at_ns + fault.for_ns for fault in self.machine.faults if fault.for_ns is not None]
        if self.machine.isolation == "processes" and any(self.has_work(lane, self.now) for lane in self.lanes):
            times.append(self.next_boundary())
        return min((t for t in times if t > self.now), default=None)

    # Executions

    def ready_ns(self, lane: int) -> int | None:
        """When the lane's next execution is ready; None while the device knows of none or another is in progress."""
        if lane in self.lost or lane in self.running or not self.queues[lane]:
            return None
        head = self.submissions[self.queues[lane][0]]
        if head.host_ns > self.host_done_ns:
            return None
        return max(head.host_ns, self.last_end_ns[lane]) + head.delay_ns

    def has_work(self, lane: int, t: int) -> bool:
        """Whether the lane "has an execution in progress or ready"."""
        ready = self.ready_ns(lane)
        return lane in self.running or (ready is not None and ready <= t)

    def start(self, t: int) -> None:
        """Implement "executions that are ready by T start"; under `processes` only on the lane that has the turn."""
        for lane in self.lanes:
            may = self.machine.isolation != "processes" or lane == self.turn
            if may and lane not in self.running and self.has_work(lane, t):
                execution = self.queues[lane].pop(0)
                self.stamps.start_ns[execution] = t
                self.running[lane] = Progress(execution, self.phases(self.submissions[execution]))

    def phases(self, submission: Submission) -> list[Phase]:
        """gap 1, kernel 1, gap 2, ...; without those of 0 ns; if none is left, one gap of 1 ns."""
        listed: list[tuple[Kernel | None, int, bool]] = []
        if (submission.lane, submission.engine) not in self.warm:
            self.warm.add((submission.lane, submission.engine))
            listed += [(None, fault.gap_ns, True) for fault in self.machine.faults if fault.kind == "lazy_load"]
        for kernel in self.engines[submission.engine]:
            listed += [(None, kernel.gap_ns, False), (kernel, kernel.duration_ns, False)]
        lasting = [entry for entry in listed if entry[1] > 0] or [(None, 1, False)]
        return [Phase(kernel, ns * submission.factor, is_loading) for kernel, ns, is_loading in lasting]

    # Turns and faults

    def is_boundary(self, t: int) -> bool:
        """Whether T is one of "the instants `p + k x slice_ns`"."""
        machine = self.machine
        since = t - machine.slice_phase_ns
        return machine.isolation == "processes" and since >= 0 and since % machine.slice_ns == 0

    def next_boundary(self) -> int:
        phase, length = self.machine.slice_phase_ns, self.machine.slice_ns
        return phase if self.now < phase else phase + ((self.now - phase) // length + 1) * length

    def pass_turn(self, t: int, boundary: bool) -> None:
        """To the next lane that has work, at a boundary or when the lane with the turn has none itself."""
        if boundary or not self.has_work(self.turn, t):
            around = [(self.turn + step) % len(self.lanes) for step in range(1, len(self.lanes) + 1)]
            self.turn = next((lane for lane in around if self.has_work(lane, t)), self.turn)

    def begin_and_end_faults(self, t: int) -> None:
        """Only a death does anything by itself; the other faults show in the rates."""
        for lane in {fault.lane for fault in self.faults("lane_death", t)} - self.lost:
            self.lost.add(lane)
            self.running.pop(lane, None)

    def faults(self, kind: str, t: int) -> list[Fault]:
        return [fault for fault in self.machine.faults if fault.kind == kind and fault.in_force(t)]

    # Rates

    def rates_anew(self, t: int) -> dict[int, int]:
        """The rate of every lane with a started execution."""
        shared = self.rates_of_kernels(t)
        rates = {lane: shared.get(lane, ONE) for lane in self.running}  # "A lane in a gap ... has the rate `ONE`"
        still = {fault.lane for fault in self.faults("hang", t)}
        loading = [lane for lane, progress in self.running.items() if progress.phase.is_loading]
        if (
            self.machine.isolation == "processes"
        ):  # whoever has the turn goes on "as if it were alone", so loading or not
            still |= set(self.lanes) - {self.turn}
        elif loading:  # "every other lane stands still"; "the one with the lower number goes on"
            still |= set(self.lanes) - {min(loading)}
        return {lane: 0 if lane in still else rate for lane, rate in rates.items()}

    def rates_of_kernels(self, t: int) -> dict[int, int]:
        kernels = {lane: p.phase.kernel for lane, p in self.running.items() if p.phase.kernel is not None}
        if self.machine.isolation == "processes":  # "as if it were alone"
            kernels = {lane: kernel for lane, kernel in kernels.items() if lane == self.turn}
        foreign = [fault.kernel for fault in self.faults("foreign_load", t) if fault.kernel is not None]
        own_sms = self.machine.isolation == "green-contexts"
        rates = kernel_rates(kernels, foreign, self.q, self.machine.l2_bytes, own_sms)
        for drop in self.faults("clock_drop", t):
            rates = {lane: max(1, rate * drop.part // ONE) for lane, rate in rates.items()}
        return rates
