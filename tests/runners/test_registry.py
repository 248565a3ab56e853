"""Runners are found by folder and by entry point; what is broken says so in one line."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotenant.models.errors import UserError, WorkError
from cotenant.runners.registry import available, load


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution on the import path with one good, one failing and one unfitting entry point."""
    info = tmp_path / "cotenant_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cotenant-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[cotenant.runners]\n"
        "plugged-in = cotenant_plugin_good:RUNNER\n"
        "failing = cotenant_plugin_failing:RUNNER\n"
        "unfitting = cotenant_plugin_good:SOMETHING\n"
    )
    good = "from cotenant.runners.onnxruntime_cpu import RUNNER\nSOMETHING = object()\n"
    (tmp_path / "cotenant_plugin_good.py").write_text(good)
    (tmp_path / "cotenant_plugin_failing.py").write_text("raise ImportError('libvendor.so.9 is missing')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("cotenant_plugin_good", "cotenant_plugin_failing"):
        sys.modules.pop(name, None)


def test_the_embedded_runner_is_found_by_its_folder() -> None:
    assert "onnxruntime-cpu" in available()
    assert load("onnxruntime-cpu").name == "onnxruntime-cpu"
    assert "registry" not in available()
    assert "protocol" not in available()


@pytest.mark.parametrize("name", ["onnxruntime_cpu", "onnxruntime", "onnxrutnime-cpu"])
def test_an_unknown_runner_is_answered_with_the_nearest(name: str) -> None:
    with pytest.raises(UserError, match=r"unknown runner .*did you mean 'onnxruntime-cpu'\?"):
        load(name)


def test_a_name_near_to_none_lists_the_choices() -> None:
    with pytest.raises(UserError, match=r"choose one of: .*onnxruntime-cpu"):
        load("zzz")


@pytest.mark.usefixtures("plugin")
def test_entry_points_add_runners() -> None:
    assert {"plugged-in", "failing", "onnxruntime-cpu"} <= set(available())
    assert load("plugged-in").devices()
    assert "cotenant_plugin_failing" not in sys.modules


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failing", r"ImportError: libvendor\.so\.9 is missing"),
        ("unfitting", r"is no runner: it lacks name, needs_gpu"),
    ],
)
def test_a_broken_entry_point_is_one_clear_line(name: str, words: str) -> None:
    with pytest.raises(WorkError, match=words) as told:
        load(name)
    assert "cotenant-plugin" in str(told.value)
    assert "\n" not in str(told.value)


def test_looking_runners_up_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cotenant.runners.registry import load, available; available(); r = load('onnxruntime-cpu');"
        "r.device(None); r.engine_id('probe:dram:10', 1, 'fp32', r.target(r.device(None)));"
        "print({'onnx', 'onnxruntime', 'numpy', 'numba', 'pyarrow'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
