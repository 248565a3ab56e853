"""Pauses for temperature: until it is cool or time is up, and never without an end."""

from typing import Any

import pytest
from nvml_by_hand import NVMLError_NotSupported
from nvml_sequence import NvmlSequence

from cotenant.profiler.quality.cooling import LOOK_EVERY_S, cool_down, too_hot
from cotenant.profiler.quality.nvml_source import NvmlSource
from cotenant.profiler.quality.thresholds import Quality

QUALITY = Quality().resolved("gpu")
MARGIN, TEMPERATURE = "nvmlDeviceGetMarginTemperature", "nvmlDeviceGetTemperature"
HOT, COOL = {MARGIN: 2}, {MARGIN: 30}


class Clock:
    """Time that passes only in `sleep`, with the card's next step after each."""

    def __init__(self, steps: list[dict[str, Any]], **quality: Any) -> None:
        self.nvml = NvmlSequence(steps)
        self.source = NvmlSource(self.nvml, "GPU-1", own=lambda: set())
        self.quality = Quality(**quality).resolved("gpu")
        self.now_s, self.notes = 100.0, list[str]()

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds
        self.nvml.next()

    def cooled(self, slowdown_c: float | None = None) -> float:
        return cool_down(self.source, self.quality, slowdown_c, self.notes.append, self.sleep, lambda: self.now_s)


def test_a_cool_card_is_not_waited_for() -> None:
    clock = Clock([COOL])
    assert (clock.cooled(), clock.notes) == (0.0, [])


def test_a_hot_card_is_waited_for_until_it_is_cool() -> None:
    clock = Clock([HOT, HOT, HOT, COOL])
    assert clock.cooled() == pytest.approx(3 * LOOK_EVERY_S)
    (note,) = clock.notes
    assert "2 C below slowing down" in note


def test_a_card_that_stays_hot_is_measured_after_the_limit() -> None:
    clock = Clock([HOT], cool_down_s=7.5)
    assert clock.cooled() == pytest.approx(7.5)
    assert len(clock.notes) == 2
    assert "still hot after 8 s" in clock.notes[1]


def test_the_drivers_own_word_counts_and_other_reasons_do_not() -> None:
    thermal, powered = ({"nvmlDeviceGetCurrentClocksEventReasons": mask} for mask in (0x40, 0x4))
    assert Clock([thermal, COOL]).cooled() == pytest.approx(LOOK_EVERY_S)
    assert Clock([powered]).cooled() == 0.0
    assert Clock([thermal], throttle_mask=0x4).cooled() == 0.0


def test_where_no_margin_is_told_the_slowdown_temperature_gives_it() -> None:
    untold: dict[str, Any] = {MARGIN: NVMLError_NotSupported("Not Supported")}
    hot, cool = untold | {TEMPERATURE: 83}, untold | {TEMPERATURE: 60}
    assert Clock([hot, cool]).cooled(slowdown_c=85) == pytest.approx(LOOK_EVERY_S)
    assert Clock([hot]).cooled(slowdown_c=None) == 0.0
    assert too_hot({"temperature_c": 81}, QUALITY, 85) is not None
    assert too_hot({"temperature_c": 80}, QUALITY, 85) is None


def test_no_pause_where_none_is_wanted_or_nothing_is_known() -> None:
    assert Clock([HOT], cool_down_s=0).cooled() == 0.0
    assert cool_down(None, QUALITY, None, pytest.fail) == 0.0
    assert too_hot({}, QUALITY, None) is None


def test_ctrl_c_ends_the_pause() -> None:
    clock = Clock([HOT])

    def pressed(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cool_down(clock.source, clock.quality, None, clock.notes.append, pressed)
