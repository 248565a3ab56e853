"""Folders that are another campaign's, no campaign's, somebody's file, or in use."""

import os
import shutil
import signal
import subprocess
import sys
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


@pytest.mark.parametrize("name", ["failed", "engines", "raw"])
def test_a_file_where_a_folder_has_to_be_is_told(cotenant: Cotenant, spec: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("kept")
    done = cotenant("campaign", "run", spec, "--out", out)
    assert done.code == 2
    assert f"{out / name} is a file" in done.told
    assert (out / name).read_text() == "kept"


def test_a_file_in_place_of_an_engine_is_told(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    arguments = ["build", "--model", f"file:{net}", "--out", tmp_path / "out"]
    assert cotenant(*arguments).code == 0
    (engine,) = (tmp_path / "out" / "engines").iterdir()
    shutil.rmtree(engine)
    engine.write_text("kept")
    done = cotenant(*arguments)
    assert done.code == 2
    assert f"{engine} is a file" in done.told


def test_a_place_where_nothing_can_be_made_is_told(cotenant: Cotenant, net: Path) -> None:
    for arguments in (["build", "--model", f"file:{net}"], ["models", "export", "resnet18:image=32"]):
        done = cotenant(*arguments, "--out", "/proc/x")
        assert done.code == 2
        assert "/proc/x" in done.told
        assert "--out" in done.told


def test_a_user_without_a_home_is_told_to_choose_a_cache(cotenant: Cotenant, net: Path, tmp_path: Path) -> None:
    program = (
        "import os, sys; from cotenant.profiler.cli.main import main; os.environ.pop('HOME', None);"
        " os.environ.pop('XDG_CACHE_HOME', None); os.getuid = lambda: 2**31 - 7; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "build", "--model", f"file:{net}", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=cotenant.environment)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: no home folder")
    assert "--cache" in done.stderr
    assert done.stderr.count("\n") == 1


def test_status_takes_the_dataset_folder_too(cotenant: Cotenant, finished: Path) -> None:
    told = cotenant("campaign", "status", finished)
    assert told.code == 0
    assert cotenant("campaign", "status", finished / "dataset") == told
    assert cotenant("campaign", "status", ".", cwd=finished / "dataset") == told


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
