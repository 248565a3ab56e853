"""Progress where nobody watches: few plain lines, each with an estimate, the last of a stage always."""

import pytest

from cotenant.profiler.cli.columns import as_columns, counted, milliseconds
from cotenant.profiler.cli.watching import LineProgress, duration


def test_lines_are_sparse_and_end_with_the_last_step(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LineProgress()
    progress.stage("engines", 50)
    for index in range(50):
        progress.advance(f"net@{index}")
    progress.note("lanes share cores")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("engines 1/50: net@0 (about ")
    assert lines[-2:] == ["engines 50/50: net@49", "lanes share cores"]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (89, "89 s"), (120, "2 min"), (3600, "60 min"), (9000, "2.5 h")]
)
def test_durations_read_as_people_say_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_columns_align_numbers_to_the_right() -> None:
    told = as_columns(("model", "p50 ms"), [("net", "9.5"), ("longer", "-"), ("x", "10.25")])
    assert told.splitlines() == ["model   p50 ms", "net        9.5", "longer       -", "x        10.25"]


def test_unknown_is_a_dash_and_never_0() -> None:
    assert counted(None) == milliseconds(None) == "-"
    assert (counted(25_557_032), counted(4.09e9), milliseconds(1_250_000)) == ("25.6 M", "4.09 G", "1.250")
