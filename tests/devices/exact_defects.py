"""Exact GPUs with one defect each: comparisons must notice every one of them."""

from exact_gpu import ExactGpu
from exact_progress import Progress


class CarryDropped(ExactGpu):
    def advance(self, progress: Progress, units: int) -> None:
        progress.done_units = min(progress.done_units + units, progress.ends[progress.index])


class LostTie(ExactGpu):
    """Of several executions that are over at one instant only the first ends; the others do a ns later."""

    def end_phases(self, t: int) -> None:
        over = [lane for lane, progress in sorted(self.running.items()) if progress.is_over]
        kept = {lane: self.running.pop(lane) for lane in over[1:]}
        super().end_phases(t)
        self.running |= kept

    def next_instant(self) -> int | None:
        if any(progress.is_over for progress in self.running.values()):
            return self.now + 1
        return super().next_instant()

    def rates_anew(self, t: int) -> dict[int, int]:
        late = {lane: progress for lane, progress in self.running.items() if progress.is_over}
        self.running = {lane: progress for lane, progress in self.running.items() if lane not in late}
        rates = super().rates_anew(t) | dict.fromkeys(late, 0)
        self.running |= late
        return rates


class StaleRate(ExactGpu):
    """Who goes on keeps its rate when another one ends or starts."""

    def rates_anew(self, t: int) -> dict[int, int]:
        return super().rates_anew(t) | {lane: rate for lane, rate in self.rates.items() if lane in self.running}


class HostFirst(ExactGpu):
    """The host's submissions at T are there before the turn passes."""

    def at(self, t: int) -> None:
        self.host_done_ns = t
        super().at(t)


DEFECTS: list[type[ExactGpu]] = [CarryDropped, LostTie, StaleRate, HostFirst]
