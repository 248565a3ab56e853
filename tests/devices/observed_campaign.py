"""A campaign on the simulated device whose sessions are watched: what the host asked for, and the truth about rates."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from exact_gpu import ExactGpu
from exact_inputs import Machine, Submission
from exact_progress import Stamps, Stretch
from exact_rates import Kernel
from simulated_host import COLUMNS

from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import CampaignOutcome, run_campaign
from cotenant.profiler.campaign.spec import parse_spec
from cotenant.runners.protocol import Completion, Engine, Loaded
from cotenant.runners.simulated import runner as simulated_runner
from cotenant.runners.simulated.kernel_list import read_kernels
from cotenant.runners.simulated.session import SimulatedSession


@dataclass
class Watched:
    """A session that notes what passes through it, for the exact GPU."""

    inner: SimulatedSession
    machine: Machine
    engines: list[list[Kernel]] = field(default_factory=list)
    places: dict[Loaded, int] = field(default_factory=dict)
    submissions: list[Submission] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    held: list[int] | None = None
    listed_ns: dict[int, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def load(self, lane: int, engine: Engine, copies: bool = False) -> Loaded:
        loaded = self.inner.load(lane, engine, copies)
        kernels = read_kernels(engine.folder)
        columns = [getattr(kernels, column).tolist() for column in COLUMNS]
        self.places[loaded] = len(self.engines)
        self.engines.append([Kernel(**dict(zip(COLUMNS, row, strict=True))) for row in zip(*columns, strict=True)])
        return loaded

    @contextmanager
    def gate(self) -> Iterator[None]:
        self.held = []
        with self.inner.gate():
            yield
        for ticket in self.held:
            before = self.submissions[ticket]
            self.submissions[ticket] = Submission(
                before.lane, before.engine, before.dispatched_ns, self.inner.now_ns(), before.delay_ns, before.factor
            )
        self.held = None

    def submit(self, lane: int, loaded: Loaded, delay_ns: int = 0) -> int:
        ticket = self.inner.submit(lane, loaded, delay_ns)
        assert ticket == len(self.submissions)
        factor = int(self.inner.factors(ticket, 1)[0])
        now_ns = self.inner.now_ns()
        self.submissions.append(Submission(lane, self.places[loaded], now_ns, None, delay_ns, factor))
        if self.held is not None:
            self.held.append(ticket)
        return ticket

    def wait(self, until_ns: int) -> list[Completion]:
        done = self.inner.wait(until_ns)
        self.completions += done
        return done

    def time_of_event(self, events: int) -> int:
        """Return the end by which so many phases have ended, or of the last execution."""
        ended = 0
        done = sorted(self.completions, key=lambda completion: completion.end_ns)
        for completion in done:
            ended += 2 * len(self.engines[self.submissions[completion.ticket].engine])
            if ended >= events:
                return completion.end_ns
        return done[-1].end_ns

    def exact(self, until_ns: int, gpu: type[ExactGpu] = ExactGpu) -> Stamps:
        """Return what the exact GPU makes of what was submitted until then."""
        asked = [each for each in self.submissions if each.dispatched_ns <= until_ns]
        return gpu(self.machine, self.engines, asked).run(until_ns)

    def work_units(self, ticket: int) -> int:
        """Return what an execution has to do, from its list and factor alone."""
        submission = self.submissions[ticket]
        return max(1, self._listed_ns(submission.engine)) * submission.factor

    def _listed_ns(self, engine: int) -> int:
        if engine not in self.listed_ns:
            self.listed_ns[engine] = sum(kernel.gap_ns + kernel.duration_ns for kernel in self.engines[engine])
        return self.listed_ns[engine]

    def stretches(self) -> list[Stretch]:
        """Return the session's own truth."""
        truth = self.inner.truth()
        columns = (truth.t0_ns, truth.t1_ns, truth.lane, truth.ticket, truth.rate)
        return [Stretch(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def run_watched(
    spec: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[CampaignOutcome, list[Watched]]:
    """Run a campaign in `folder`; return its outcome and its sessions, one an experiment, in the order they ran."""
    sessions: list[Watched] = []
    opened = simulated_runner._session

    @contextmanager
    def watched(file: Any, lanes: Any, isolation: str, seed: int) -> Iterator[Watched]:
        with opened(file, lanes, isolation, seed) as inner:
            inner.keep_truth()
            share_pct = [lane.share_pct for lane in lanes]
            machine = Machine(share_pct, isolation, file.l2_bytes, file.slice_ns, inner.slice_phase_ns)
            sessions.append(Watched(inner, machine))
            yield sessions[-1]

    monkeypatch.setattr(simulated_runner, "_session", watched)
    outcome = run_campaign(parse_spec(spec, "watched"), folder / "out", folder / "cache", QuietProgress())
    return outcome, sessions
