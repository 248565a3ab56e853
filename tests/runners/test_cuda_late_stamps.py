"""Anchors whose stamp comes late: the device is busy with another process, and the host may look away meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from lane_rig import MS, US, model_session
from model_gpu import ModelGpu
from model_parts import Traits, VirtualClock

from cotenant.runners.cuda import anchors as anchors_module
from cotenant.runners.cuda.anchors import Anchors, anchored_map
from cotenant.runners.cuda.clock_map import Anchor, ClockMap
from cotenant.runners.cuda.gpu import GpuError, Words
from cotenant.runners.cuda.host_clock import HostClock
from cotenant.runners.cuda.stamp_pairs import stamp_pair_ns
from cotenant.runners.cuda.stamps import EventStamps, TimerStamps

S = 1_000_000_000


@dataclass
class Bed:
    clock: HostClock
    anchors: Anchors
    clock_map: ClockMap
    delay: Callable[[int], None]


@pytest.fixture
def bed() -> Bed:
    """Anchors that are due, on a device without drift; `delay` keeps the next stamp back."""
    gpu = ModelGpu(clock=VirtualClock(), traits=Traits(drift=0.0))
    anchors = Anchors(gpu, gpu.clock, EventStamps(gpu))
    clock_map = anchored_map(anchors.first())
    gpu.clock.pause(2 * S)
    return Bed(gpu.clock, anchors, clock_map, lambda delay_ns: gpu.launch_delay(anchors._stream, delay_ns))


def polled(bed: Bed, every_ns: int) -> Anchor:
    while (anchor := bed.anchors.poll()) is None:
        bed.clock.pause(every_ns)
    return anchor


def test_a_stamp_that_comes_late_blocks_nobody(bed: Bed) -> None:
    bed.delay(50 * MS)
    began_ns = bed.clock.now_ns()
    assert bed.anchors.poll() is None
    assert bed.clock.now_ns() - began_ns < 1 * MS
    late = polled(bed, 20 * MS)
    assert bed.clock.now_ns() - began_ns > 50 * MS
    assert 19 * MS < late.rtt_ns < 21 * MS  # the look that did not find it lies that far back
    bed.clock.pause(2 * S)
    assert bed.anchors.poll() is not None


def test_looks_that_do_not_find_it_narrow_the_bracket(bed: Bed) -> None:
    bed.delay(5 * MS)
    assert bed.anchors.poll() is None
    assert polled(bed, 20 * US).rtt_ns < 60 * US


def test_a_stamp_that_nobody_looked_for_is_taken_anew(bed: Bed) -> None:
    """The last execution ends before the stamp comes, and the lanes idle: nobody polls until the next submission."""
    bed.delay(300 * US)
    assert bed.anchors.poll() is None
    bed.clock.pause(10 * S)
    anchor = bed.anchors.poll()
    assert anchor is not None
    assert anchor.rtt_ns < 50 * US
    bed.clock_map.add(anchor, idle=True)
    assert abs(bed.clock_map.to_host(anchor.device_ns) - anchor.host_ns) < 50 * US
    assert bed.clock_map.error_ns < 50 * US


def test_an_anchor_that_is_not_due_can_be_asked_for(bed: Bed) -> None:
    assert bed.anchors.poll() is not None
    assert bed.anchors.poll() is None
    asked_ns = bed.clock.now_ns()
    bed.delay(5 * MS)
    assert bed.anchors.renew().host_ns > asked_ns + 4 * MS


class SlowStamps(ModelGpu):
    """Its stamps are kernels that take a while, as the driver's are."""

    def launch_stamp(self, stream: int, words: Words, index: int) -> None:
        self.launch_kernel(stream, 3_200)
        super().launch_stamp(stream, words, index)


def test_what_stamps_add_to_a_span_is_measured() -> None:
    for gpu, length_ns in ((SlowStamps(clock=VirtualClock()), 3_200), (ModelGpu(clock=VirtualClock()), 0)):
        stamps, stream = TimerStamps(gpu), gpu.create_stream()
        assert abs(stamp_pair_ns(gpu, stamps, stream) - length_ns) <= stamps.resolution_ns


def test_a_session_tells_what_an_empty_span_shows() -> None:
    session, _ = model_session(1)
    assert session.stamp_pair_ns == 0  # events of the model take no time
    session.close()


def test_a_device_that_takes_no_stamp_is_told(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors_module, "IDLE_LIMIT_NS", 20 * MS)
    bed.delay(1 * S)
    with pytest.raises(GpuError, match=r"took no stamp"):
        bed.anchors.renew()
