"""How specs and commands name what becomes an engine: a model of the zoo, the user's file, or a native probe."""

import difflib

from cotenant.models.errors import UserError
from cotenant.models.zoo import resolve

PROBE = "probe"
PROBE_KINDS = ("compute", "cache", "dram", "half")  # design section 4: every runner builds these
INTENSITIES_PCT = range(101)


def is_probe(name: str) -> bool:
    """Whether a name means a probe; a probe has one batch size (1) and no precision of its own (fp32)."""
    return name.partition(":")[0] == PROBE


def canonical_name(name: str) -> str:
    """Return a model's or probe's name as results carry it; UserError with the nearest right one if it is none."""
    return _probe_name(name) if is_probe(name) else resolve(name).name


def _probe_name(name: str) -> str:
    _, _, rest = name.partition(":")
    kind, _, intensity = rest.partition(":")
    if kind not in PROBE_KINDS:
        near = difflib.get_close_matches(kind, PROBE_KINDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(PROBE_KINDS)}"
        raise UserError(f"{name!r} is no probe: there is no kind {kind!r}; {hint} (probe:<kind>:<0-100>)")
    if not (intensity.isascii() and intensity.isdigit() and len(intensity) < 4 and int(intensity) in INTENSITIES_PCT):
        raise UserError(f"{name!r} is no probe: its intensity is a whole number from 0 to 100, as in probe:{kind}:100")
    return f"{PROBE}:{kind}:{int(intensity)}"
