"""The provenance table: wall-clock facts, apart from everything that a seed decides."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cotenant.datasets.columns import PROVENANCE
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary

NULLABLE = ("started_at", "finished_at", "host", "pid", "attempt_count", "git_commit", "raw_sha256")


def provenance_rows(summaries: Sequence[Summary], raw_sha256: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one row per experiment."""
    return [_row(summary, raw_sha256[summary.metadata["experiment_id"]]) for summary in summaries]


def _row(summary: Summary, sha256: str) -> dict[str, Any]:
    facts = summary.metadata["provenance"]
    values = {
        "subject": "experiment",
        "subject_id": summary.metadata["experiment_id"],
        "started_at": _time(facts.get("started_at")),
        "finished_at": _time(facts.get("finished_at")),
        "attempt_count": facts.get("attempt"),
        "versions": sorted(facts.get("versions", {}).items()),
        "raw_sha256": sha256,
        **{name: facts.get(name) for name in ("host", "pid", "git_commit")},
    }
    return row_of(PROVENANCE, values, dict.fromkeys(NULLABLE, "not_reported"))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
