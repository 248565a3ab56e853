"""One lane of probes: spans, the gate, delays, and the gap between executions queued back to back."""

import time
from typing import Any

from cotenant.profiler.gpu_check import clocks, rig
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.figures import gaps_ns, summary
from cotenant.runners.protocol import Loaded, Session

PROBES = ("probe:compute:100", "probe:cache:100", "probe:dram:100", "probe:compute:50")
EACH = 100
SINGLES = 20
DELAYS_NS = (0, 20_000, 100_000, 1_000_000, 10_000_000)
DELAY_REPEATS = 10
DELAY_ERROR_NS, DELAY_ERROR_RATIO = 50_000, 0.01  # of the median; an offset sweep needs no more
CLOSED_NS = 50_000_000


def measure(facts: Facts) -> None:
    """Measure one lane with each probe, then gate, delays and single executions with one of them."""
    gpu = rig.first_gpu()
    facts.note(device=gpu.device.device_type, before=clocks.gpu_state(gpu.device.device_id))
    with rig.lanes(1) as session:
        facts.note(isolation_observed=session.isolation_observed)
        loaded = {model: session.load(0, rig.probe(model, facts.cache)) for model in PROBES}
        modes = [(mode.captured, mode.refusal) for mode in session.launch_modes()]  # type: ignore[attr-defined]
        facts.check(all(captured for captured, _ in modes), f"every probe is captured as a graph: {modes}")
        for model, engine in loaded.items():
            _back_to_back(facts, session, engine, model.replace(":", "_"))
        first = loaded[PROBES[0]]
        _singles(facts, session, first)
        _gate(facts, session, first)
        _delays(facts, session, first)
        facts.note(stamp_pair_ns=getattr(session, "stamp_pair_ns", None))
        facts.note(clock_error_ns=session.clock_error_ns, after=clocks.gpu_state(gpu.device.device_id))


def _back_to_back(facts: Facts, session: Session, engine: Loaded, word: str) -> None:
    (spans,) = rig.burst(session, [engine], EACH)
    gaps = gaps_ns(spans)
    facts.note(**{f"{word}_span": summary([end - start for start, end in spans]), f"{word}_gap": summary(gaps)})
    facts.check(all(end > start for start, end in spans), f"{word}: every span is positive")
    facts.check(min(gaps) >= 0, f"{word}: executions of a lane follow each other")


def _singles(facts: Facts, session: Session, engine: Loaded) -> None:
    """Executions that find the lane idle: their spans tell whether the host's calls are counted in."""
    spans, dispatch, seen = [], [], []
    for _ in range(SINGLES):
        began_ns = session.now_ns()
        session.submit(0, engine)
        submitted_ns = session.now_ns()
        (done,) = rig.collect(session, 1)
        seen.append(session.now_ns() - done.end_ns)
        dispatch.append(submitted_ns - began_ns)
        spans.append(done.end_ns - done.start_ns)
        not_early = began_ns - session.clock_error_ns <= done.start_ns
        facts.check(not_early, "an execution starts after it was submitted, on the session's clock")
        time.sleep(0.005)
    facts.note(single_span=summary(spans), submit=summary(dispatch), end_to_told=summary(seen))


def _gate(facts: Facts, session: Session, engine: Loaded) -> None:
    after_opening = []
    for _ in range(SINGLES):
        with session.gate():
            session.submit(0, engine)
            early = session.wait(session.now_ns() + CLOSED_NS // SINGLES)
            closed_ns = session.now_ns()
        (done,) = rig.collect(session, 1)
        after_opening.append(done.start_ns - closed_ns)
        facts.check(not early and done.start_ns >= closed_ns - session.clock_error_ns, "nothing starts before its gate")
    facts.note(gate_to_start=summary(after_opening))


def _delays(facts: Facts, session: Session, engine: Loaded) -> None:
    for delay_ns in DELAYS_NS:
        errors: list[int] = []
        for _ in range(DELAY_REPEATS):
            session.submit(0, engine)
            session.submit(0, engine, delay_ns=delay_ns)
            first, second = rig.collect(session, 2)
            errors.append(second.start_ns - first.end_ns - delay_ns)
        told: Any = summary(errors)
        facts.note(**{f"delay_{delay_ns}_error": told})
        limit_ns = DELAY_ERROR_NS + DELAY_ERROR_RATIO * delay_ns
        facts.check(abs(told["p50_ns"]) < limit_ns, f"a delay of {delay_ns} ns is held to within {limit_ns:.0f} ns")
