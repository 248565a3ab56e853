"""Whether the GPU still answers after a part that hung or crashed: one kernel, in a context of its own process."""

from cotenant.profiler.gpu_check import rig
from cotenant.profiler.gpu_check.facts import Facts


def measure(facts: Facts) -> None:
    """Run one stamp kernel; any error is told."""
    gpu = rig.open_gpu()
    words, stream = gpu.words(1), gpu.create_stream()
    gpu.launch_stamp(stream, words, 0)
    gpu.synchronize(stream)
    facts.note(timer_ns=words.read(0))
