"""What an execution's span is by three clocks: events (our labels), the global timer's stamps (process modes), CUPTI.

alternating  E g E | T g T     each by itself, in turn: what a span is by events, and what by the timer
nested       T E g E T         both around the same execution: bias and spread of the difference
kernels      E g E             CUPTI's kernel times inside event spans; a pass of its own, because CUPTI disturbs
"""

from collections.abc import Sequence
from typing import Any

from cotenant.profiler.gpu_check import clocks, rig
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.figures import compare, summary
from cotenant.profiler.gpu_check.inside import missing_modules

PROBES = {"probe:compute:100": "compute", "probe:dram:100": "copy"}  # with the kernel's name
BLOCKS, EACH = 10, 20
SPAN_RATIO = (0.99, 1.01)
CUPTI_EACH = 50


def measure(facts: Facts) -> None:
    """Compare for two probes."""
    from cotenant.runners.cuda.stamps import EventStamps, TimerStamps

    found = rig.first_gpu()
    gpu = rig.open_gpu()
    stream = gpu.create_stream()
    events, timer = EventStamps(gpu), TimerStamps(gpu)
    anchor = events.mark(stream)
    gpu.synchronize(stream)
    events.anchor(anchor)
    facts.note(
        device=found.device.device_type,
        before=clocks.gpu_state(found.device.device_id),
        timer_tick_ns=timer.resolution_ns,
    )
    for model, kernel in PROBES.items():
        engine = rig.resident(gpu, stream, rig.probe(model, facts.cache))
        _alternating(facts, gpu, stream, engine, (events, timer), model)
        _nested(facts, gpu, stream, engine, (events, timer), model)
        _cupti(facts, gpu, stream, engine, events, (model, kernel))
        engine.close()
    facts.note(after=clocks.gpu_state(found.device.device_id))


def _spans_ns(gpu: Any, stream: int, engine: Any, stamps: Any, count: int) -> list[int]:
    marks = []
    for _ in range(count):
        first = stamps.mark(stream)
        engine.run(stream)
        marks.append((first, stamps.mark(stream)))
    gpu.synchronize(stream)
    return [_span_ns(stamps, pair) for pair in marks]


def _span_ns(stamps: Any, marks: Sequence[int]) -> int:
    start_ns, end_ns = stamps.times(marks)
    stamps.release(marks)
    return int(end_ns - start_ns)


def _alternating(facts: Facts, gpu: Any, stream: int, engine: Any, both: tuple[Any, Any], model: str) -> None:
    events, timer = both
    by_events, by_timer = [], []
    for _ in range(BLOCKS):
        by_events.append(_spans_ns(gpu, stream, engine, events, EACH)[1:])
        by_timer.append(_spans_ns(gpu, stream, engine, timer, EACH)[1:])
    found = compare(by_timer, by_events)
    facts.note(
        **{
            f"{model} alternating": {
                "timer_over_events": found,
                "event_span": summary([span for block in by_events for span in block]),
                "timer_span": summary([span for block in by_timer for span in block]),
            }
        }
    )
    low, high = SPAN_RATIO
    facts.check(low <= found["ratio"] <= high, f"{model}: spans by timer and by events agree ({found['ratio']:.4f})")


def _nested(facts: Facts, gpu: Any, stream: int, engine: Any, both: tuple[Any, Any], model: str) -> None:
    events, timer = both
    marks = []
    for _ in range(BLOCKS * EACH):
        outer, inner = timer.mark(stream), events.mark(stream)
        engine.run(stream)
        marks.append(((inner, events.mark(stream)), (outer, timer.mark(stream))))
    gpu.synchronize(stream)
    extra = [_span_ns(timer, outer) - _span_ns(events, inner) for inner, outer in marks]
    facts.note(**{f"{model} nested: timer less events": summary(extra)})


def _cupti(facts: Facts, gpu: Any, stream: int, engine: Any, events: Any, names: tuple[str, str]) -> None:
    model, kernel = names
    missing = missing_modules(("torch",))
    if missing:
        facts.note(cupti="left out: needs the Python module torch, whose profiler reads CUPTI")
        return
    import torch
    from torch.profiler import ProfilerActivity, profile

    if not torch.cuda.is_available():
        facts.note(cupti="left out: this torch was built without CUDA, or finds no GPU")
        return
    torch.zeros(1, device="cuda")  # the profiler sees what comes after torch has started CUDA
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        spans = _spans_ns(gpu, stream, engine, events, CUPTI_EACH)
    kernels = sorted(
        (each.time_range.start, round(1e3 * each.time_range.elapsed_us()))
        for each in seen.events()
        if str(each.device_type).endswith("CUDA") and each.name.split("(")[0] == kernel
    )
    lengths = [length_ns for _, length_ns in kernels]
    told = {"kernels": len(lengths), "kernel": summary(lengths), "event_span_under_cupti": summary(spans)}
    if len(lengths) == len(spans):  # else records were lost, and which belongs to which is not known
        told["event_span_less_kernel"] = summary([a - b for a, b in zip(spans, lengths, strict=True)][1:])
    facts.note(**{f"{model} cupti": told})
