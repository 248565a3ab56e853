"""Raw stamps and anchors of one lane as the driver gave them, for replay in tests: recorded/<device>/lane.json.

Nothing here goes through a session: these are a session's inputs. Times are ns; an execution's are on the device's
clock, an anchor's `host_ns` is the middle of a bracket `rtt_ns` wide on CLOCK_MONOTONIC.
"""

import json
import re
import time
from dataclasses import asdict
from typing import Any

from cotenant.profiler.gpu_check import rig
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.figures import summary

PROBES = ("probe:compute:100", "probe:compute:50")
EXECUTIONS = 300
DELAYS_NS = (0, 0, 0, 200_000)  # in turn
TICKS = 256
LIMIT_NS = 30_000_000_000
POLL_S = 0.000_05
FORMAT = 1


def measure(facts: Facts) -> None:
    """Record executions by events with anchors, the same by the global timer, and the timer's ticks."""
    from cotenant.runners.cuda.stamps import EventStamps, TimerStamps

    found = rig.first_gpu()
    gpu = rig.open_gpu()
    told: dict[str, Any] = {
        "format": FORMAT,
        "device_type": found.device.device_type,
        "cuda_version": found.cuda_version,
        "timer_ticks_ns": _ticks(gpu),
        "lanes": [],
    }
    for name, stamps in (("events", EventStamps(gpu)), ("globaltimer", TimerStamps(gpu))):
        for model in PROBES:
            recorded = _record(gpu, stamps, model, facts)
            told["lanes"].append({"stamps": name, "probe": model, "resolution_ns": stamps.resolution_ns, **recorded})
    path = facts.folder / "recorded" / device_word(found.device.name) / "lane.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))
    facts.note(
        device=found.device.device_type,
        file=str(path.relative_to(facts.folder)),
        executions=[len(lane["executions"]) for lane in told["lanes"]],
        anchors=[len(lane["anchors"]) for lane in told["lanes"]],
        anchor_brackets=[summary([each["rtt_ns"] for each in lane["anchors"]]) for lane in told["lanes"]],
    )
    facts.check(all(len(lane["executions"]) == EXECUTIONS for lane in told["lanes"]), "every execution was recorded")


def device_word(name: str) -> str:
    """Return a device's name as a folder: `nvidia_h200`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _ticks(gpu: Any) -> list[int]:
    words, stream = gpu.words(TICKS), gpu.create_stream()
    gpu.launch_ticks(stream, words, TICKS)
    gpu.synchronize(stream)
    return [words.read(index) for index in range(TICKS)]


def _record(gpu: Any, stamps: Any, model: str, facts: Facts) -> dict[str, Any]:
    from cotenant.runners.cuda.anchors import Anchors
    from cotenant.runners.cuda.host_clock import MonotonicClock
    from cotenant.runners.cuda.lane import CudaLane, Execution

    clock = MonotonicClock()
    stream = gpu.create_stream()
    resident = rig.resident(gpu, stream, rig.probe(model, facts.cache))
    lane, anchors = CudaLane(gpu, stamps, stream), Anchors(gpu, clock, stamps)
    taken = [asdict(anchor) for anchor in anchors.first()]
    delays = [DELAYS_NS[ticket % len(DELAYS_NS)] for ticket in range(EXECUTIONS)]
    submitted: list[int] = []
    ended: list[dict[str, int]] = []
    limit_ns = clock.now_ns() + LIMIT_NS
    while len(ended) < EXECUTIONS and clock.now_ns() < limit_ns:
        while len(submitted) < EXECUTIONS and lane.outstanding < 2:
            lane.submit(Execution(len(submitted), resident, delays[len(submitted)], None))
            submitted.append(clock.now_ns())
        lane.feed()
        for timed in lane.collect():
            times = {"start_ns": timed.start_ns, "end_ns": timed.end_ns, "collected_ns": clock.now_ns()}
            ended.append({"submitted_ns": submitted[timed.ticket], "delay_ns": delays[timed.ticket], **times})
        anchor = anchors.poll()
        taken += [asdict(anchor)] if anchor is not None else []
        time.sleep(POLL_S)
    resident.close()
    anchors.close()
    return {"anchors": taken, "executions": ended}
