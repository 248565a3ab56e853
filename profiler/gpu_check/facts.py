"""What a part tells, kept in a file from the first fact on: a part that hangs or crashes leaves what it measured."""

import json
import time
from pathlib import Path
from typing import Any

from cotenant.profiler.gpu_check.part import Part


class Skip(Exception):
    """This part has nothing to do here; the message says why."""


class Facts:
    """The facts of one part: numbers, and checks that hold or do not."""

    def __init__(self, path: Path, folder: Path, part: Part) -> None:
        """Begin with nothing.

        Args:
            path: File that always holds the facts so far, as JSON.
            folder: The check's folder; parts write below `cache`, `tables`, `campaigns` and `recorded` there.
            part: The part; its limit is the one in force.
        """
        self.folder, self.part, self.argument = folder, part.name, part.argument
        self._path, self._ends_s = path, time.monotonic() + part.timeout_s
        self._told: dict[str, Any] = {}
        self._checks: dict[str, bool] = {}

    @property
    def cache(self) -> Path:
        """Where engines are built; parts share it."""
        return self.folder / "cache"

    @property
    def left_s(self) -> float:
        """Seconds until the part is ended from outside; who needs longer stops by itself before."""
        return self._ends_s - time.monotonic()

    @property
    def failed_checks(self) -> list[str]:
        """Sentences of the checks that did not hold."""
        return [sentence for sentence, held in self._checks.items() if not held]

    def note(self, **facts: Any) -> None:
        """Keep facts; numbers carry their unit in the name."""
        self._told.update(facts)
        self._write()

    def check(self, held: bool, sentence: str) -> None:
        """Keep whether something holds that must, each time it is asked; else the part fails, and goes on."""
        self._checks[sentence] = self._checks.get(sentence, True) and bool(held)
        self._told["checks"] = [{"held": each, "what": what} for what, each in self._checks.items()]
        self._write()

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self._told, default=str))
        fresh.replace(self._path)
