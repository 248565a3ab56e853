"""Which solo profile the slowdowns of an experiment refer to."""

from collections.abc import Iterable, Mapping
from typing import Any

from cotenant.datasets.words import KINDS, PATTERNS

WHOLE_DEVICE_PCT = 100.0
ProfileRow = Mapping[str, Any]


def solo_of(kind: str) -> tuple[str, ...]:
    """Return the patterns of solo profiles that a kind of experiment refers to, the best first.

    In serving an engine follows others, as in turns; where that was not measured, and everywhere else, back to back.
    """
    return ("interleaved", "back_to_back") if KINDS[kind].open_loop else ("back_to_back",)


def granted(share_pct: float | None) -> float | None:
    """Return a lane's share as profiles are keyed by it: None for the whole device."""
    return None if share_pct is None or share_pct >= WHOLE_DEVICE_PCT else share_pct


class SoloProfiles:
    """Rows of the solo_profiles table by what they are asked for; those with a condition are left out."""

    def __init__(self, rows: Iterable[ProfileRow]) -> None:
        self._rows = {
            (row["engine_id"], row["device_id"], row["isolation"], row["share_pct"], row["pattern"]): row
            for row in rows
            if row["condition"] is None
        }

    def of(
        self, kind: str, engine_id: str, device_id: str, isolation: str, share_pct: float | None
    ) -> ProfileRow | None:
        """Return the profile that a kind of experiment refers to; None if there is none."""
        keys = ((engine_id, device_id, isolation, share_pct, pattern) for pattern in solo_of(kind))
        found = [self._rows[key] for key in keys if key in self._rows]
        return next((row for row in found if row["span_p50_ns"] is not None), found[0] if found else None)

    def best(self) -> dict[tuple[str, str], ProfileRow]:
        """Return one profile for each engine and device: of the whole device, back to back, with the most samples."""
        chosen: dict[tuple[str, str], ProfileRow] = {}
        for row in sorted(self._rows.values(), key=_rank):
            chosen.setdefault((row["engine_id"], row["device_id"]), row)
        return chosen


def _rank(row: ProfileRow) -> tuple[bool, int, int, float, str]:
    share_pct = row["share_pct"]
    place = list(PATTERNS).index(row["pattern"])
    return share_pct is not None, place, -row["sample_count"], -(share_pct or 0.0), row["isolation"]
