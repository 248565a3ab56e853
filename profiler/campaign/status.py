"""How far a campaign folder is, told from its files alone, also while it is running."""

import fcntl
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotenant.datasets import raw
from cotenant.profiler.campaign.journal import Journal, stored_plan, stored_spec


@dataclass(frozen=True)
class CampaignStatus:
    """Counts of a campaign's experiments.

    Attributes:
        remaining_s: Estimate for what is left, from the plan's guesses.
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
    """Read how far a campaign is; UserError if the folder is none."""
    name = str(stored_spec(folder)["name"])
    cells = stored_plan(folder)["cells"]
    journal = Journal(folder)
    done = {raw.read_metadata(journal.raw / f"{found}.parquet")["cell_id"] for found in raw.finished(journal.raw)}
    planned_by_kind = Counter(cell["kind"] for cell in cells)
    done_by_kind = Counter(cell["kind"] for cell in cells if cell["cell_id"] in done)
    failures = [json.loads(path.read_text()) for path in sorted(journal.failed.glob("*.json"))]
    return CampaignStatus(
        name=name,
        planned_count=len(cells),
        done_count=sum(done_by_kind.values()),
        failed_count=len(failures),
        remaining_s=sum(cell["estimated_s"] for cell in cells if cell["cell_id"] not in done),
        running=_is_held(folder),
        by_kind={kind: (done_by_kind[kind], count) for kind, count in sorted(planned_by_kind.items())},
        failures=failures,
    )


def _is_held(folder: Path) -> bool:
    try:
        with (folder / ".lock").open("r") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
