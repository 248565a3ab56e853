"""A part of the check, and how it ended."""

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "failed", "skipped", "timed_out"]
MODULES = "cotenant.profiler.gpu_check.parts"


@dataclass(frozen=True)
class Part:
    """One thing that is checked, in a process of its own.

    Attributes:
        name: What users type and results are filed under.
        tells: What it checks, in a few words.
        module: Module with `measure(facts)`, in `package`.
        argument: What `facts.argument` says.
        needs: Modules without which it is skipped.
        needs_gpu: Whether it is skipped where the driver shows no GPU.
        timeout_s: After so long everything it started is ended.
    """

    name: str
    tells: str
    module: str
    argument: str = ""
    needs: tuple[str, ...] = ()
    needs_gpu: bool = True
    timeout_s: float = 110
    package: str = MODULES

    @property
    def module_path(self) -> str:
        """The module's full name."""
        return f"{self.package}.{self.module}" if self.package else self.module


@dataclass(frozen=True)
class Outcome:
    """How a part ended; `facts` is what it told until then, however it ended."""

    part: str
    state: State
    seconds: float
    reason: str | None
    facts: dict[str, Any] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        """Return the part's line in gpu_check.jsonl."""
        head = {"part": self.part, "state": self.state, "seconds": round(self.seconds, 3), "reason": self.reason}
        return {**head, **{name: fact for name, fact in self.facts.items() if name not in head}}
