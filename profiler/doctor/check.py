"""One fact that `cotenant doctor` tells; a probe that fails becomes one too."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from cotenant.profiler.quality.failure import failure

State = Literal["ok", "missing", "limited", "unknown"]


@dataclass(frozen=True)
class Check:
    """One fact about this machine.

    Attributes:
        id: Stable name, `<group>.<what>`, e.g. `ncu.permission` or `gpu.0.clocks`.
        state: missing = not there; limited = there, but less than could be; unknown = could not be told.
        value: What was found, in words; where something is missing or unknown, why.
        remedy: The next step; None where there is nothing to do.
    """

    id: str
    state: State
    value: str
    remedy: str | None = None

    @property
    def group(self) -> str:
        """The heading it stands under: the first part of the id."""
        return self.id.split(".", 1)[0]

    def stored(self) -> dict[str, str | None]:
        """Return what `doctor --json` prints of it."""
        return {"id": self.id, "group": self.group, "state": self.state, "value": self.value, "remedy": self.remedy}


def isolated(id_if_failed: str, probe: Callable[[], Iterable[Check]]) -> list[Check]:
    """Return what a probe finds; if it raises, what it found until then and one check that says so.

    Vendor libraries raise what they like, and some leave by SystemExit; Ctrl-C alone passes.
    """
    found: list[Check] = []
    try:
        for check in probe():
            found.append(check)  # noqa: PERF402 - extend would lose what came before the error
    except (Exception, SystemExit) as error:
        found.append(Check(id_if_failed, "unknown", f"could not be told ({failure(error)})"))
    return found
