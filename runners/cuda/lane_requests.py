"""What may be asked of the lanes of a CUDA session, by isolation mode; refused before anything is started."""

from collections.abc import Sequence

from cotenant.models.errors import UserError
from cotenant.runners.protocol import Lane

WITH_SHARES = ("green-contexts", "mps")
WITH_PRIORITIES = ("streams",)
MAX_LANES = 16  # well below the 32 hardware queues of a context and the 48 clients of an MPS server
ROUNDING_PCT = 1e-6  # three shares of 33.333... may sum to a little more than 100


def check_lanes(lanes: Sequence[Lane], mode: str, runner: str) -> None:
    """Refuse what the isolation mode cannot give; UserError says what to do instead."""
    if not 1 <= len(lanes) <= MAX_LANES:
        raise UserError(f"{len(lanes)} lanes are not possible on runner {runner}; give --lanes from 1 to {MAX_LANES}")
    if mode not in WITH_PRIORITIES and any(lane.priority != 0 for lane in lanes):
        raise UserError(f"lanes of isolation {mode} take no priority; leave it out, or choose streams")
    shares = [lane.share_pct for lane in lanes if lane.share_pct is not None]
    if shares and mode not in WITH_SHARES:
        raise UserError(f"lanes of isolation {mode} take no share; leave it out, or choose {' or '.join(WITH_SHARES)}")
    if not all(0 < share <= 100 for share in shares):
        raise UserError(f"shares {_listed(shares)} are not possible; give each above 0 and at most 100 %")
    if mode == "green-contexts" and sum(shares) > 100 + ROUNDING_PCT:
        raise UserError(
            f"shares {_listed(shares)} are more than the whole device; lanes of green-contexts have multiprocessors of"
            " their own, so give 100 % at most (those of mps may overlap)"
        )


def _listed(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:g}" for share in shares)
