"""How probes are named, `probe:{compute,cache,dram,half}:<0-100>`, the same for every runner (design 4)."""

import difflib
from dataclasses import dataclass
from typing import Literal

from cotenant.models.errors import UserError

ProbeKind = Literal["compute", "cache", "dram", "half"]
KINDS: tuple[ProbeKind, ...] = ("compute", "cache", "dram", "half")
WORD = "probe"
INTENSITY_MAX_PCT = 100
DIGITS_MAX = 3  # also keeps int() away from text of thousands of digits, which it refuses with an error of its own
SHOWN_CHARACTERS = 80  # of a name in a message


@dataclass(frozen=True)
class ProbeName:
    """What a probe's name says: which level of the machine it loads, and how much of it."""

    kind: ProbeKind
    intensity_pct: int

    def __str__(self) -> str:
        return f"{WORD}:{self.kind}:{self.intensity_pct}"


def is_probe(model: str) -> bool:
    """Whether a model's name means a probe, well-formed or not."""
    return model.partition(":")[0] == WORD


def parse_probe_name(model: str) -> ProbeName:
    """Return what the name says; UserError with the nearest kind, or with the range, if it is no probe's name."""
    _, _, rest = model.partition(":")
    kind, _, intensity = rest.partition(":")
    if kind not in KINDS:
        near = difflib.get_close_matches(kind[:SHOWN_CHARACTERS], KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(KINDS)}"
        raise UserError(f"unknown probe {_shown(model)}: no kind {_shown(kind)}; {hint} (probe:<kind>:<0-100>)")
    digits = intensity.isascii() and intensity.isdigit() and len(intensity) <= DIGITS_MAX
    if not (digits and int(intensity) <= INTENSITY_MAX_PCT):
        raise UserError(
            f"bad probe {_shown(model)}: intensity {_shown(intensity)} is no whole number from 0 to"
            f" {INTENSITY_MAX_PCT}; write e.g. {WORD}:{kind}:50"
        )
    return ProbeName(kind, int(intensity))


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}...")
