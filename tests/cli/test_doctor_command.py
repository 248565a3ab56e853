"""`cotenant doctor` as a shell starts it, on this machine and on machines that stand-in modules pretend."""

import json
import os
import re
import time
from pathlib import Path

import pytest
from command_line import Cotenant, Done

DEVICES = Path(__file__).parents[1] / "devices"
KEYS = {"id", "group", "state", "value", "remedy"}
STATES = {"ok", "missing", "limited", "unknown"}
GROUPS = {
    *("python", "packages", "extra", "processor", "storage", "driver"),
    *("tensorrt", "ncu", "mps", "runner", "evidence"),
}


def told(done: Done) -> dict[str, dict[str, str]]:
    """Return the checks of `--json`; fails if there is a traceback, another exit code, or keys that are not stable."""
    assert (done.code, done.err) == (0, "")
    checks = json.loads(done.out)
    assert all(set(check) == KEYS for check in checks)
    assert {check["state"] for check in checks} <= STATES
    assert all(check["remedy"] for check in checks if check["state"] in ("missing", "limited"))
    assert all(check["id"].startswith(f"{check['group']}.") for check in checks)
    found = {check["id"]: check for check in checks}
    assert len(found) == len(checks)
    return found


def test_it_tells_this_machine_in_seconds(cotenant: Cotenant) -> None:
    took_s = []
    for _ in range(2):
        began_s = time.monotonic()
        found = told(cotenant("doctor", "--json"))
        took_s.append(time.monotonic() - began_s)
    assert min(took_s) < 5
    assert {check["group"] for check in found.values()} >= GROUPS
    assert found["runner.onnxruntime-cpu"]["state"] == "ok"
    assert "measure here: onnxruntime-cpu" in found["runner.summary"]["value"]
    assert "simulate here: simulated" in found["runner.summary"]["value"]


def test_people_read_the_same_with_the_next_step_under_what_is_missing(cotenant: Cotenant) -> None:
    found = told(cotenant("doctor", "--json"))
    done = cotenant("doctor")
    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in done.out
    for name, check in found.items():
        if check["group"] == "evidence":
            assert f"\n{check['value']}\n" in done.out
        elif check["id"] != "processor.memory" and check["group"] != "storage":  # these change while we look
            parts = (check["state"], name.removeprefix(f"{check['group']}."), check["value"])
            assert re.search(rf"^  {' +'.join(map(re.escape, parts))}$", done.out, re.MULTILINE), parts
    assert done.out.count("-> ") == sum(c["remedy"] is not None and c["group"] != "evidence" for c in found.values())


def test_a_package_that_is_not_there_comes_with_its_pip_line(cotenant: Cotenant) -> None:
    found = told(cotenant("doctor", "--json"))
    extras = {name: check for name, check in found.items() if check["group"] == "extra"}
    assert extras
    for name, check in extras.items():
        expected = None if check["state"] == "ok" else f"pip install 'cotenant[{name.removeprefix('extra.')}]'"
        assert check["remedy"] == expected


def test_every_extra_that_a_next_step_names_exists(cotenant: Cotenant) -> None:
    found = told(cotenant("doctor", "--json"))
    named = set(re.findall(r"cotenant\[([^]]+)\]", " ".join(check["remedy"] or "" for check in found.values())))
    assert named
    assert {f"extra.{name}" for name in named} <= found.keys()


def test_nothing_is_written(cotenant: Cotenant, tmp_path: Path) -> None:
    found = told(cotenant("doctor", "--json", "--cache", tmp_path / "new"))
    assert str(tmp_path / "new") in found["storage.cache"]["value"]
    assert list(tmp_path.iterdir()) == []


def stand_in(folder: Path, body: str) -> str:
    """Write a module `pynvml` that is found before the real one; return the PYTHONPATH that makes it so."""
    folder.mkdir(exist_ok=True)
    (folder / "pynvml.py").write_text(body)
    return os.pathsep.join([str(folder), str(DEVICES)])


CARD = "import sys\nfrom nvml_by_hand import *\nsys.modules[__name__] = NvmlByHand({})\n"


def test_a_machine_with_a_card(cotenant: Cotenant, tmp_path: Path) -> None:
    path = stand_in(tmp_path / "modules", CARD.format(""))
    found = told(cotenant("doctor", "--json", PYTHONPATH=path))
    assert found["driver.version"]["value"] == "580.65.06"
    assert found["driver.cuda"]["value"] == "CUDA 13.0"
    assert found["gpu.0.device"]["value"].startswith("NVIDIA L4, capability 8.9, ")
    assert found["gpu.0.globaltimer"]["state"] == "unknown"  # there is no CUDA driver behind the stand-in
    assert found["ncu.permission"]["state"] in ("ok", "missing", "unknown")


def test_a_card_that_refuses_everything(cotenant: Cotenant, tmp_path: Path) -> None:
    path = stand_in(tmp_path / "modules", CARD.format("refused=GETTERS"))
    found = told(cotenant("doctor", "--json", PYTHONPATH=path))
    assert found["gpu.0.nvml"]["state"] == "unknown"
    assert "NotSupported" in found["gpu.0.nvml"]["value"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"),
        ("raise RuntimeError('a broken module')\n", "a broken module"),
        ("raise SystemExit('leaves')\n", "leaves"),
    ],
)
def test_a_vendor_module_that_breaks_is_no_crash(cotenant: Cotenant, tmp_path: Path, body: str, word: str) -> None:
    found = told(cotenant("doctor", "--json", PYTHONPATH=stand_in(tmp_path / "modules", body)))
    assert found["driver.version"]["state"] == "unknown"
    assert word in found["driver.version"]["value"]
    assert found["runner.onnxruntime-cpu"]["state"] == "ok"


def test_a_runner_of_others_that_kills_its_process_costs_one_line(cotenant: Cotenant, tmp_path: Path) -> None:
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cotenant.runners]\ntheirs = theirs:RUNNER\n")
    (tmp_path / "theirs.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    found = told(cotenant("doctor", "--json", PYTHONPATH=str(tmp_path)))
    assert (found["runner.theirs"]["state"], "SIGSEGV" in found["runner.theirs"]["value"]) == ("unknown", True)
    assert found["runner.onnxruntime-cpu"]["state"] == "ok"


def test_packaging_that_cannot_be_imported_is_told(cotenant: Cotenant, tmp_path: Path) -> None:
    (tmp_path / "packaging.py").write_text("raise ImportError('no packaging')\n")
    found = told(cotenant("doctor", "--json", PYTHONPATH=str(tmp_path)))
    assert found["packages.all"]["state"] == "unknown"
    assert found["processor.cores"]["state"] == "ok"


def test_a_cache_that_cannot_be_written_is_told(cotenant: Cotenant) -> None:
    found = told(cotenant("doctor", "--json", "--cache", "/proc/cotenant"))
    assert found["storage.cache"]["state"] == "missing"
