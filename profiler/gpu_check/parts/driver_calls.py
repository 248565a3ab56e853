"""Each call that lanes stand on, once and by itself: where one is refused, its name stands in the reason."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from cotenant.profiler.gpu_check import rig
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.figures import summary

TICKS = 1000
EVENTS = 200
HOLDS_NS = (5_000, 20_000, 100_000, 1_000_000)
HOLD_REPEATS = 20


def measure(facts: Facts) -> None:
    """Open the context, compile our kernels, and use streams, events, graphs, words and the timer."""
    from cotenant.runners.cuda.device_kernels import image

    found = rig.first_gpu()
    facts.note(device=found.device.device_type, architecture=found.architecture, sm_count=found.device.sm_count)
    capability = int(found.capability.replace(".", ""))
    code = _timed(facts, "nvrtc_ns", lambda: image(capability))
    facts.note(machine_code_bytes=len(code), is_machine_code=code[:4] == b"\x7fELF")
    gpu = _timed(facts, "context_ns", rig.open_gpu)
    memory = gpu.memory()
    facts.note(free_bytes=memory.free_bytes, total_bytes=memory.total_bytes)
    stream = gpu.create_stream()
    _timer(facts, gpu, stream)
    _events(facts, gpu, stream)
    _words(facts, gpu, stream)
    _holds(facts, gpu, stream)
    _graph(facts, gpu, stream)
    facts.note(priorities_granted=[each.priority for each in gpu.lane_streams([0, -1, -100], None)])
    gpu.close()


def _timed(facts: Facts, name: str, call: Callable[[], Any]) -> Any:
    began_ns = time.monotonic_ns()
    result = call()
    facts.note(**{name: time.monotonic_ns() - began_ns})
    return result


def _timer(facts: Facts, gpu: Any, stream: int) -> None:
    words = gpu.words(TICKS)
    gpu.launch_ticks(stream, words, TICKS)
    gpu.synchronize(stream)
    values = [words.read(index) for index in range(TICKS)]
    steps = [after - before for before, after in pairwise(values)]
    facts.note(globaltimer_steps=summary(steps), globaltimer_step_sizes_ns=sorted(set(steps))[:20])
    facts.check(min(steps) > 0, "the global timer only goes forward")


def _events(facts: Facts, gpu: Any, stream: int) -> None:
    events = [gpu.create_event() for _ in range(EVENTS)]
    for event in events:
        gpu.record(event, stream)
    gpu.synchronize(stream)
    facts.check(gpu.is_done(events[-1]), "a recorded event is done once its stream is")
    steps = [round(gpu.elapsed_ms(before, after) * 1e6) for before, after in pairwise(events)]
    facts.note(events_back_to_back=summary(steps), event_step_sizes_ns=sorted(set(steps))[:20])
    for event in events:
        gpu.destroy_event(event)


def _words(facts: Facts, gpu: Any, stream: int) -> None:
    """A stream waits for a word, and goes on once the host writes it."""
    words, event = gpu.words(2), gpu.create_event()
    gpu.wait_word(stream, words, 0, 1)
    gpu.launch_stamp(stream, words, 1)
    gpu.record(event, stream)
    time.sleep(0.02)
    facts.check(not gpu.is_done(event), "a stream waits behind a closed gate")
    opened_ns = time.monotonic_ns()
    words.write(0, 1)
    while not gpu.is_done(event):
        if time.monotonic_ns() - opened_ns > 5_000_000_000:
            raise TimeoutError("a stream did not go on within 5 s of its word being written")
    facts.note(gate_to_event_seen_ns=time.monotonic_ns() - opened_ns)
    facts.check(words.read(1) > 0, "a stamp kernel writes to host memory")


def _holds(facts: Facts, gpu: Any, stream: int) -> None:
    """How exact the kernels that hold delays are, by events around them."""
    first, second = gpu.create_event(), gpu.create_event()
    for length_ns in HOLDS_NS:
        lengths = []
        for _ in range(HOLD_REPEATS):
            gpu.record(first, stream)
            gpu.launch_delay(stream, length_ns)
            gpu.record(second, stream)
            gpu.synchronize(stream)
            lengths.append(round(gpu.elapsed_ms(first, second) * 1e6) - length_ns)
        facts.note(**{f"hold_{length_ns}_error": summary(lengths)})
        facts.check(min(lengths) > -2_000, f"a hold of {length_ns} ns is never shorter than that (2 us for the stamps)")


def _graph(facts: Facts, gpu: Any, stream: int) -> None:
    words = gpu.words(1)
    gpu.begin_capture(stream)
    gpu.launch_stamp(stream, words, 0)
    graph = gpu.end_capture(stream)
    gpu.synchronize(stream)
    facts.check(words.read(0) == 0, "what is captured is not executed")
    gpu.launch_graph(graph, stream)
    gpu.synchronize(stream)
    facts.check(words.read(0) > 0, "a captured graph executes")
    gpu.destroy_graph(graph)
