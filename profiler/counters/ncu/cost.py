"""What profiling one engine costs: estimated before, from its span, passes and kernels; told after as it was."""

from dataclasses import dataclass, replace

from cotenant.profiler.counters.metrics import CHIPS, MetricSet, expected_passes

# Assumed, not measured: they only have to be right within a factor, and `learned` replaces them after the first engine.
START_S = 15.0  # one start of the profiled program: interpreter, context, loading and warming the engine
PASS_S = 0.02  # one pass of one kernel: saving and restoring memory, setting counters, flushing caches
KERNEL_COUNT = 150


@dataclass(frozen=True)
class Pace:
    """What the parts of a run take, in seconds."""

    start_s: float = START_S
    pass_s: float = PASS_S


ASSUMED = Pace()


def estimate_s(
    engine_span_s: float,
    counter_set: MetricSet,
    kernel_count: int | None,
    capability: str | None,
    pace: Pace = ASSUMED,
) -> float:
    """Return about how many seconds profiling an engine takes.

    Args:
        engine_span_s: Of one execution alone.
        kernel_count: Of one execution; None = unknown, a usual count is taken.
        capability: Compute capability, e.g. "9.0"; None = unknown, the most passes of any chip are taken.
        pace: Learned from engines profiled before, if there are any.
    """
    passes = expected_passes(counter_set, capability)
    if passes is None:
        passes = max(chip.passes[counter_set.name] for chip in CHIPS.values())
    if counter_set.replay_mode == "app-range":  # the program is run again for each pass
        return passes * (pace.start_s + engine_span_s)
    kernels = KERNEL_COUNT if kernel_count is None else kernel_count
    return pace.start_s + passes * (engine_span_s + kernels * pace.pass_s)


def learned(pace: Pace, estimated_s: float, took_s: float) -> Pace:
    """Return the pace at which the estimate would have been what it took."""
    ratio = took_s / estimated_s if estimated_s > 0 and took_s > 0 else 1.0
    return replace(pace, start_s=pace.start_s * ratio, pass_s=pace.pass_s * ratio)
