"""Our lane beside bare replays: such a graph launched in a plain loop with two events each, in blocks taken in turn.

bare   | block |       | block |       ...      ratio of medians at most 1.01: our lane adds nothing to what it measures
lane           | block |       | block |
"""

import statistics
from typing import Any

from cotenant.models.errors import CotenantError
from cotenant.models.model import Precision
from cotenant.profiler.gpu_check import clocks, rig
from cotenant.profiler.gpu_check.facts import Facts
from cotenant.profiler.gpu_check.figures import compare, gaps_ns, summary
from cotenant.profiler.gpu_check.inside import missing_modules
from cotenant.runners.cuda.gpu import Gpu
from cotenant.runners.cuda.loading import LoadedEngine
from cotenant.runners.cuda.runner import CudaRunner
from cotenant.runners.protocol import Lane

RATIO_MAX = 1.01
BLOCKS = 16
BLOCK_NS = 60_000_000
EACH = (10, 200)  # executions of a block: at least, at most
LEAD_IN = 3  # of each block, left out
TORCH = "torch-cuda"
Subject = tuple[str, int, Precision]
PROBES: tuple[Subject, ...] = (("probe:compute:100", 1, "fp32"), ("probe:dram:100", 1, "fp32"))
NETWORKS: tuple[Subject, ...] = (("resnet18", 1, "fp16"), ("resnet50", 8, "fp16"))


class BareReplays:
    """An engine's graph launched on a stream of its own, and nothing else."""

    def __init__(self, gpu: Gpu, stream: int, engine: LoadedEngine) -> None:
        """Make the events of a block."""
        self._gpu, self._stream, self._engine = gpu, stream, engine
        self._events = [gpu.create_event() for _ in range(2 * EACH[1])]

    def spans_ns(self, count: int) -> list[int]:
        """Replay `count` times with an event before and after each; return the times between them."""
        for index in range(count):
            self._gpu.record(self._events[2 * index], self._stream)
            self._engine.run(self._stream)
            self._gpu.record(self._events[2 * index + 1], self._stream)
        self._gpu.synchronize(self._stream)
        return [self._elapsed_ns(2 * index, 2 * index + 1) for index in range(count)]

    def block_ns(self, count: int) -> int:
        """Replay `count` times without events in between; return the time of all."""
        self._gpu.record(self._events[0], self._stream)
        for _ in range(count):
            self._engine.run(self._stream)
        self._gpu.record(self._events[1], self._stream)
        self._gpu.synchronize(self._stream)
        return self._elapsed_ns(0, 1)

    def close(self) -> None:
        """Free everything."""
        for event in self._events:
            self._gpu.destroy_event(event)
        self._engine.close()

    def _elapsed_ns(self, first: int, second: int) -> int:
        return round(self._gpu.elapsed_ms(self._events[first], self._events[second]) * 1e6)


def measure(facts: Facts) -> None:
    """Compare with probes, and with networks where torch executes them here."""
    device = rig.first_gpu().device
    facts.note(device=device.device_type, before=clocks.gpu_state(device.device_id))
    for subject in PROBES:
        _compare(facts, rig.RUNNER, subject)
    missing = missing_modules(("torch", "onnx", "numpy"))
    if missing:
        facts.note(networks=f"left out: needs the Python modules {', '.join(missing)}")
    for subject in () if missing else NETWORKS:
        try:
            _compare(facts, _torch_runner(), subject)
        except CotenantError as error:
            facts.check(False, f"{subject[0]}@{subject[1]} could not be compared: {error}")
    facts.note(after=clocks.gpu_state(device.device_id))


def _torch_runner() -> CudaRunner:
    from cotenant.runners.registry import load

    runner = load(TORCH)
    assert isinstance(runner, CudaRunner)
    return runner


def _compare(facts: Facts, runner: CudaRunner, subject: Subject) -> None:
    model, batch_size, precision = subject
    device = runner.device(None)
    engine = runner.build(model, batch_size, precision, runner.target(device), facts.cache)
    gpu = rig.open_gpu()
    stream = gpu.create_stream()
    bare = BareReplays(gpu, stream, rig.resident(gpu, stream, engine, runner.backend.loader))
    try:
        with runner.open(device, [Lane()]) as session:
            told = _measured(session, session.load(0, engine), bare)
    finally:
        bare.close()
    label = f"{model}@{batch_size}"
    facts.note(**{label: told})
    facts.check(told["ratio"] <= RATIO_MAX, f"{label}: our lane's median is {told['ratio']:.4f} of a bare replay's")


def _measured(session: Any, loaded: Any, bare: BareReplays) -> dict[str, Any]:
    (warm,) = rig.burst(session, [loaded], EACH[0])
    typical_ns = statistics.median(end - start for start, end in warm)
    count = min(EACH[1], max(EACH[0], round(BLOCK_NS / typical_ns)))
    lane_blocks, bare_blocks, lane_times, bare_times, gaps = [], [], [], [], []
    for _ in range(BLOCKS):
        bare_blocks.append(bare.spans_ns(count)[LEAD_IN:])
        (spans,) = rig.burst(session, [loaded], count)
        lane_blocks.append([end - start for start, end in spans][LEAD_IN:])
        gaps += gaps_ns(spans)[LEAD_IN:]
        bare_times.append([bare.block_ns(count) // count])
        lane_times.append([rig.span_ns(spans) // count])
    return {
        **compare(lane_blocks, bare_blocks),
        "each": count,
        "lane_span": summary([span for block in lane_blocks for span in block]),
        "bare_span": summary([span for block in bare_blocks for span in block]),
        "lane_gap": summary(gaps),
        "per_execution_with_gaps": compare(lane_times, bare_times),
    }
