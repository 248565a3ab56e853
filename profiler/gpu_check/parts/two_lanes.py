"""Two lanes in streams mode: they run at once, start together behind a gate, and share one clock."""

import statistics
from collections.abc import Sequence

from cotenant.profiler.gpu_check import clocks, rig
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.figures import gain_ratio, median_interval, overlap_ns, summary
from cotenant.runners.protocol import Loaded, Session

HALF = "probe:half:100"
PAIRS = (
    ("probe:compute:100", "probe:compute:100"),
    ("probe:dram:100", "probe:dram:100"),
    ("probe:compute:100", "probe:dram:100"),
    ("probe:cache:100", "probe:cache:100"),
)
REPEATS = 7
EACH = 20
START_SKEW_MAX_NS = 1_000_000  # as in the runners' contract test
OFFSETS_NS = (0, 500_000, 2_000_000)
GAIN_MIN = 1.05


def measure(facts: Facts) -> None:
    """Measure pairs of probes; the two `half` loads must gain, because together they are one whole device."""
    gpu = rig.first_gpu()
    facts.note(device=gpu.device.device_type, before=clocks.gpu_state(gpu.device.device_id))
    with rig.lanes(2) as session:
        halves = _loaded(session, (HALF, HALF), facts)
        gains = [_gain(session, halves, 1) for _ in range(REPEATS)]
        bounds = median_interval(gains)
        facts.note(half_gain_ratio=statistics.median(gains), half_gain_low=bounds.low, half_gain_high=bounds.high)
        facts.check(statistics.median(gains) > GAIN_MIN, "two half loads gain by running together")
        _starts(facts, session, halves)
        for pair in PAIRS:
            _pair(facts, session, pair)
        facts.note(clock_error_ns=session.clock_error_ns, after=clocks.gpu_state(gpu.device.device_id))


def _loaded(session: Session, models: Sequence[str], facts: Facts) -> list[Loaded]:
    return [session.load(lane, rig.probe(model, facts.cache)) for lane, model in enumerate(models)]


def _gain(session: Session, pair: Sequence[Loaded], each: int) -> float:
    alone = [rig.span_ns(rig.burst(session, [engine], each)[0]) for engine in pair]
    both = rig.burst(session, pair, each)
    return gain_ratio(alone, rig.span_ns([span for lane in both for span in lane]))


def _starts(facts: Facts, session: Session, pair: Sequence[Loaded]) -> None:
    """Start differences behind a gate, and with offsets; all on the session's clock."""
    for offset_ns in OFFSETS_NS:
        errors = []
        for _ in range(REPEATS):
            with session.gate():
                session.submit(0, pair[0])
                session.submit(1, pair[1], delay_ns=offset_ns)
                closed_ns = session.now_ns()
            done = {each.lane: each for each in rig.collect(session, 2)}
            now_ns = session.now_ns()
            earliest_ns = closed_ns - session.clock_error_ns
            on_clock = all(earliest_ns <= each.start_ns < each.end_ns <= now_ns for each in done.values())
            facts.check(on_clock, "starts and ends of both lanes lie on the host's clock")
            errors.append(done[1].start_ns - done[0].start_ns - offset_ns)
        facts.note(**{f"offset_{offset_ns}_error": summary(errors)})
        median_ns = abs(statistics.median(errors))
        facts.check(median_ns < START_SKEW_MAX_NS, f"lanes start {offset_ns} ns apart to within 1 ms")


def _pair(facts: Facts, session: Session, models: Sequence[str]) -> None:
    pair = _loaded(session, models, facts)
    alone = [rig.burst(session, [engine], EACH)[0] for engine in pair]
    both = rig.burst(session, pair, EACH)
    word = "+".join(model.removeprefix("probe:") for model in models)
    slowdowns = [
        statistics.median(end - start for start, end in together)
        / statistics.median(end - start for start, end in solo)
        for together, solo in zip(both, alone, strict=True)
    ]
    shared_ns = overlap_ns(*both)
    facts.note(
        **{
            word: {
                "slowdown_ratios": slowdowns,
                "gain_ratio": gain_ratio([rig.span_ns(lane) for lane in alone], rig.span_ns(both[0] + both[1])),
                "overlap_share": shared_ns / min(rig.span_ns(lane) for lane in both),
            }
        }
    )
    facts.check(shared_ns > 0, f"{word}: executions of the two lanes overlap in time")
    for engine in pair:
        session.unload(engine)
