"""What a campaign folder has that its dataset has not: experiments that failed, or that nobody has run yet."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

UNREADABLE = "unreadable record"
COUNTERS = "counters"  # kind of the record of an engine that could not be profiled


def undone(campaign: Path, done: Collection[str]) -> Iterator[str]:
    """Yield in plain words what failed and what is left of the plan; `done` holds the dataset's cell_ids."""
    failed = sorted((campaign / "failed").glob("*.json"))
    records = [_read(path) or {} for path in failed]
    for what, own in (
        ("experiments", [record for record in records if record.get("kind") != COUNTERS]),
        ("profilings of counters", [record for record in records if record.get("kind") == COUNTERS]),
    ):
        kinds = Counter(str(record.get("class", UNREADABLE)) for record in own)
        told = ", ".join(f"{kind} {count}x" for kind, count in sorted(kinds.items()))
        if own:
            yield f"{len(own)} {what} failed ({told}); see {campaign / 'failed'}"
    plan = campaign / "plan.json"
    if plan.is_file():
        cells = (_read(plan) or {}).get("cells")
        if not isinstance(cells, list) or not all(isinstance(cell, dict) and "cell_id" in cell for cell in cells):
            yield f"{plan} is damaged: how much is left is unknown (`cotenant campaign run` writes it again)"
            return
        left = sum(cell["cell_id"] not in done for cell in cells)
        if left:
            yield f"{left} of {len(cells)} planned experiments are not in the dataset (`cotenant campaign run` goes on)"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
