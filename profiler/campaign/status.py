"""How far a campaign folder is, told from its files alone, also while it is running."""

import fcntl
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cotenant.datasets import raw
from cotenant.datasets.folders import campaign_folder
from cotenant.models.errors import UserError
from cotenant.profiler.campaign.journal import Journal, stored_failures, stored_plan, stored_spec


@dataclass(frozen=True)
class CampaignStatus:
    """Counts of a campaign's experiments.

    Attributes:
        remaining_s: Estimate for what is left: the plan's guesses, scaled by how long finished experiments took.
        running: Whether a process holds the folder now.
        by_kind: kind -> (done, planned).
        failures: One entry per failed experiment, as failed/ keeps it.
    """

    name: str
    planned_count: int
    done_count: int
    failed_count: int
    remaining_s: float
    running: bool
    by_kind: dict[str, tuple[int, int]]
    failures: list[dict[str, Any]]


def campaign_status(folder: Path) -> CampaignStatus:
    """Read how far a campaign is; `folder` is the campaign's or its dataset/. UserError if it is none."""
    home = campaign_folder(folder)
    if home is None:
        raise UserError(f"{folder} is no campaign folder: it has no campaign.yaml")
    name = str(stored_spec(home)["name"])
    cells = stored_plan(home)["cells"]
    journal = Journal(home)
    metadata = (raw.read_metadata(journal.raw / f"{found}.parquet") for found in raw.finished(journal.raw))
    done = {str(found["cell_id"]): _took_s(found) for found in metadata}
    planned_by_kind = Counter(cell["kind"] for cell in cells)
    done_by_kind = Counter(cell["kind"] for cell in cells if cell["cell_id"] in done)
    failures = stored_failures(home)
    return CampaignStatus(
        name=name,
        planned_count=len(cells),
        done_count=sum(done_by_kind.values()),
        failed_count=len(failures),
        remaining_s=remaining_s(cells, done),
        running=_is_held(home),
        by_kind={kind: (done_by_kind[kind], count) for kind, count in sorted(planned_by_kind.items())},
        failures=failures,
    )


def remaining_s(cells: Sequence[Mapping[str, Any]], done: Mapping[str, float | None]) -> float:
    """Return seconds for the cells that are not done.

    The plan guesses before anything is measured; what finished experiments took beside their guesses corrects it, by
    kind where one of that kind is finished.

    Args:
        cells: Entries of plan.json.
        done: cell_id -> seconds it took; None where that is not known.
    """
    known = [cell for cell in cells if done.get(cell["cell_id"]) is not None]
    by_kind = defaultdict(list)
    for cell in known:
        by_kind[cell["kind"]].append(cell)
    left = [cell for cell in cells if cell["cell_id"] not in done]
    return float(sum(cell["estimated_s"] * _pace(by_kind.get(cell["kind"], known), done) for cell in left))


def _pace(cells: Sequence[Mapping[str, Any]], done: Mapping[str, float | None]) -> float:
    """Return how much longer than guessed these cells took, 1 where nothing is known."""
    guessed_s = sum(cell["estimated_s"] for cell in cells)
    took_s = sum(done[cell["cell_id"]] or 0.0 for cell in cells)
    return took_s / guessed_s if guessed_s > 0 else 1.0


def _took_s(metadata: Mapping[str, Any]) -> float | None:
    provenance = metadata["provenance"]
    try:
        began, ended = (datetime.fromisoformat(provenance[key]) for key in ("started_at", "finished_at"))
        return (ended - began).total_seconds()
    except (KeyError, TypeError, ValueError):  # only an estimate hangs on it
        return None


def _is_held(folder: Path) -> bool:
    try:
        with (folder / ".lock").open("r") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
