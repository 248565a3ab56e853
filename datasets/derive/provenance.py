"""The provenance table: wall-clock facts, apart from everything that a seed decides."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cotenant.datasets.columns import PROVENANCE
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.raw_counters import RawCounters

NULLABLE = ("started_at", "finished_at", "host", "pid", "attempt_count", "git_commit", "raw_sha256")


def provenance_rows(
    summaries: Sequence[Summary], raw_sha256: Mapping[str, str], counters: Sequence[RawCounters] = ()
) -> list[dict[str, Any]]:
    """Return one row per experiment and one per counters file; `raw_sha256` has the digests of both by id."""
    told = [("experiment", str(summary.metadata["experiment_id"]), summary.metadata) for summary in summaries]
    told += [("counters", str(found.metadata["counter_id"]), found.metadata) for found in counters]
    return [_row(subject, subject_id, metadata, raw_sha256[subject_id]) for subject, subject_id, metadata in told]


def _row(subject: str, subject_id: str, metadata: Mapping[str, Any], sha256: str) -> dict[str, Any]:
    facts = metadata["provenance"]
    values = {
        "subject": subject,
        "subject_id": subject_id,
        "started_at": _time(facts.get("started_at")),
        "finished_at": _time(facts.get("finished_at")),
        "attempt_count": facts.get("attempt"),
        "versions": sorted(facts.get("versions", {}).items()),
        "environment": sorted((facts.get("environment") or {}).items()),
        "raw_sha256": sha256,
        **{name: facts.get(name) for name in ("host", "pid", "git_commit")},
    }
    return row_of(PROVENANCE, values, dict.fromkeys(NULLABLE, "not_reported"))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
