"""A runner of another distribution whose builds take time, fail or differ, as the environment says.

SLOW_BUILDS holds JSON; every key may be missing:
    step_s    how long each of six steps takes
    manner    asks: reports its steps; deaf: works in Python and asks nothing; asleep: lies in one foreign call
    fails     batch size -> work, user, memory, bug or full: how its build ends
    differs   whether each build index gives other bytes
    at_once   how many builds the runner advises
    log       a file that gets a line for each begin and end of a build
"""

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from cotenant.models.digest import digest_id, sha256_of
from cotenant.models.errors import UserError, WorkError
from cotenant.models.model import Precision
from cotenant.runners.build_watch import BuildCancelled, BuildStep, cancelled, report
from cotenant.runners.engine_cache import ENGINE_FIELDS, Built, obtain
from cotenant.runners.protocol import Engine
from cotenant.runners.simulated.runner import Simulated

NAME = "slow-builds"
STEPS = 6
FOREIGN_S = 60  # of a call that nothing interrupts


class SlowBuilds(Simulated):
    name = NAME

    @property
    def orders(self) -> dict[str, Any]:
        orders: dict[str, Any] = json.loads(os.environ.get("SLOW_BUILDS", "{}"))
        return orders

    @property
    def parallel_builds(self) -> int:
        return int(self.orders.get("at_once", 1))

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int = 0) -> str:
        return digest_id([NAME, super().engine_id(model, batch_size, precision, target, build_index)])

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int = 0
    ) -> Engine:
        simple = super().build(model, batch_size, precision, target, cache, build_index)
        engine_id = self.engine_id(model, batch_size, precision, target, build_index)

        def write(folder: Path) -> Built:
            self._note(f"begin {engine_id}")
            try:
                self._work(batch_size)
            finally:
                self._note(f"end {engine_id}")
            content = f"{simple.engine_sha256} {build_index if self.orders.get('differs') else 0}"
            (folder / "model.plan").write_text(content)
            (folder / "build.log").write_text("Building engine\n")
            (folder / "inspector.json").write_text('{"Layers": []}')
            fields = {name: getattr(simple, name) for name in ENGINE_FIELDS}
            own = {"engine_id": engine_id, "runner": NAME, "engine_kind": "slow", "engine_sha256": sha256_of(content)}
            return Built(fields | own, {"versions": {}})

        return obtain(cache, engine_id, write)

    def _work(self, batch_size: int) -> None:
        fault = self.orders.get("fails", {}).get(str(batch_size))
        if fault is not None:
            raise _error(fault)
        for step in range(STEPS):
            self._step(step, float(self.orders.get("step_s", 0.0)))

    def _step(self, step: int, step_s: float) -> None:
        manner = self.orders.get("manner", "asks")
        if manner == "asks":
            report(BuildStep("Building engine", step, STEPS))
            report(BuildStep("Timing tactics", 1, 2, depth=1))
        elif manner == "asleep":
            time.sleep(FOREIGN_S)
        until_s = time.monotonic() + step_s
        while time.monotonic() < until_s:
            time.sleep(0.01)
            if manner == "asks" and cancelled():
                raise BuildCancelled

    def _note(self, line: str) -> None:
        if "log" in self.orders:
            with Path(self.orders["log"]).open("a") as stream:
                stream.write(line + "\n")


def _error(fault: str) -> Exception:
    if fault == "full":
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.plan")
    return {
        "work": WorkError("the builder gave up"),
        "user": UserError("the builder knows no operator Foo"),
        "memory": MemoryError(),
        "bug": ZeroDivisionError("a bug"),
    }[fault]


def install(folder: Path) -> Path:
    """Write a distribution that adds this runner into a folder; return the folder, for PYTHONPATH."""
    info = folder / "slow_builds-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-builds\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cotenant.runners]\n{NAME} = slow_builds:RUNNER\n")
    (folder / "slow_builds.py").symlink_to(Path(__file__).resolve())
    return folder


RUNNER = SlowBuilds()
