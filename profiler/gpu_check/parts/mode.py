"""One isolation mode: does it start, what does the driver say it is, and do two half loads run at once in it?"""

import statistics

from cotenant.profiler.gpu_check import clocks, rig
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.figures import gain_ratio, median_interval, overlap_ns, summary

HALF = "probe:half:100"
PROBE = "probe:compute:100"
REPEATS = 5
EACH = 20
SLICED = "processes"  # without MPS, contexts of two processes take turns
CONCURRENT_MAX_RATIO = 1.5  # makespan of two half loads over one: 1 at once, 2 in turns; as the self-test decides
CONCURRENT_GAIN_MIN, SLICED_GAIN_MAX = 1.05, 1.15


def measure(facts: Facts) -> None:
    """Open two lanes in the mode that the argument names and run the self-test's loads in them."""
    mode, gpu = facts.argument, rig.first_gpu()
    facts.note(device=gpu.device.device_type, isolation_requested=mode, before=clocks.gpu_state(gpu.device.device_id))
    with rig.lanes(2, mode) as session:
        facts.note(isolation_observed=session.isolation_observed, clock_error_ns=session.clock_error_ns)
        facts.check(
            session.isolation_observed == mode, f"the driver says {session.isolation_observed}, asked was {mode}"
        )
        pair = [session.load(lane, rig.probe(HALF, facts.cache)) for lane in (0, 1)]
        ratios, gains = [], []
        for _ in range(REPEATS):
            alone = [rig.span_ns(rig.burst(session, [engine])[0]) for engine in pair]
            both = rig.burst(session, pair)
            together_ns = rig.span_ns(both[0] + both[1])
            ratios.append(together_ns / max(alone))
            gains.append(gain_ratio(alone, together_ns))
        bounds = median_interval(gains)
        ratio, gain = min(ratios), statistics.median(gains)
        facts.note(
            makespan_ratio=ratio,
            gain_ratio=gain,
            gain_low=bounds.low,
            gain_high=bounds.high,
            overlap_share=overlap_ns(*both) / min(rig.span_ns(lane) for lane in both),
            start_skew_ns=abs(both[0][0][0] - both[1][0][0]),
        )
        concurrent = ratio < CONCURRENT_MAX_RATIO
        facts.note(self_test="passed" if concurrent else "failed")
        facts.check(concurrent == (mode != SLICED), f"the self-test's verdict is right for {mode} (ratio {ratio:.3f})")
        right = gain < SLICED_GAIN_MAX if mode == SLICED else gain > CONCURRENT_GAIN_MIN
        facts.check(right, f"the gain is right for {mode} ({gain:.3f})")
        loaded = session.load(0, rig.probe(PROBE, facts.cache))
        (spans,) = rig.burst(session, [loaded], EACH)
        facts.note(compute_span=summary([end - start for start, end in spans]))
        kept = ("stamp_pair_ns", "worst_gate_lag_ns")  # of sessions that have them
        facts.note(**{name: getattr(session, name) for name in kept if hasattr(session, name)})
        facts.note(clock_error_at_end_ns=session.clock_error_ns, after=clocks.gpu_state(gpu.device.device_id))
