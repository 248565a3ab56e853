"""Folders that are another campaign's, no campaign's, somebody's file, or in use."""

import os
import signal
from pathlib import Path

import pytest
from command_line import Cotenant, finish, wait_until
from tiny_campaign import write_spec


def test_a_folder_of_another_spec_is_refused_and_kept(cotenant: Cotenant, finished: Path, net: Path) -> None:
    before = snapshot(finished)
    other = write_spec(finished.parent / "other.yaml", [f"file:{net}"], seed=9)
    done = cotenant("campaign", "run", other, "--out", finished)
    assert done.code == 2
    assert str(finished) in done.told
    assert "another spec" in done.told
    assert "--out" in done.told
    assert snapshot(finished) == before


def test_a_folder_of_somebody_elses_files_is_refused_and_kept(cotenant: Cotenant, spec: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "thesis"
    theirs.mkdir()
    (theirs / "chapter.tex").write_text("dear reader")
    done = cotenant("campaign", "run", spec, "--out", theirs)
    assert done.code == 2
    assert str(theirs) in done.told
    assert [path.name for path in theirs.iterdir()] == ["chapter.tex"]


@pytest.mark.parametrize("out", ["file.txt", "file.txt/below"])
def test_a_file_is_no_folder(cotenant: Cotenant, spec: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "file.txt").write_text("kept")
    done = cotenant("campaign", "run", spec, "--out", tmp_path / out)
    assert done.code == 2
    assert "file.txt" in done.told
    assert (tmp_path / "file.txt").read_text() == "kept"


@pytest.mark.parametrize(
    "arguments", [["campaign", "status"], ["dataset", "check"], ["dataset", "build"], ["dataset", "describe"]]
)
def test_a_folder_without_a_campaign_is_told(cotenant: Cotenant, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "bare").mkdir()
    done = cotenant(*arguments, tmp_path / "bare")
    assert done.code == 2
    assert "bare" in done.told
    missing = cotenant(*arguments, tmp_path / "nowhere")
    assert missing.code == 2
    assert "nowhere" in missing.told
    assert list((tmp_path / "bare").iterdir()) == []


def test_two_runs_on_one_folder_do_not_meet(cotenant: Cotenant, spec: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with cotenant.start("campaign", "run", spec, "--out", out) as first:
        wait_until(lambda: (out / "plan.json").exists(), first, "plan")
        first.send_signal(signal.SIGSTOP)  # so that it cannot end before the second has come
        try:
            second = cotenant("campaign", "run", spec, "--out", out)
            status = cotenant("campaign", "status", out)
        finally:
            first.send_signal(signal.SIGCONT)
        done = finish(first)
    assert second.code == 2
    assert str(out) in second.told
    assert f"pid {first.pid}" in second.told
    assert (status.code, "; running" in status.out) == (0, True)
    assert done.code == 0, done.err


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
