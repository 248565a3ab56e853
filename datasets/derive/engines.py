"""The engines table."""

from collections.abc import Sequence
from typing import Any

from cotenant.datasets.columns import ENGINES
from cotenant.datasets.derive.rows import row_of
from cotenant.datasets.derive.summary import Summary
from cotenant.models.digest import canonical_json
from cotenant.models.errors import WorkError

OF_IMPORTED = (
    *("family", "input_shapes", "precision", "build_target", "source_sha256", "engine_sha256", "engine_bytes"),
)
OFTEN_UNKNOWN = ("parameter_count", "mac_count", "flop_count", "read_bytes", "write_bytes", "weight_bytes")


def engine_rows(
    summaries: Sequence[Summary], others: Sequence[tuple[str, dict[str, Any]]] = ()
) -> list[dict[str, Any]]:
    """Return one row per engine; WorkError if experiments disagree on what an engine is.

    Args:
        others: Engines that are told elsewhere too, or only there: (where, engine).
    """
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    told = [
        (f"experiment {summary.metadata['experiment_id']}", engine)
        for summary in summaries
        for engine in summary.metadata["engines"]
    ]
    for where, engine in (*told, *others):
        first, before = found.setdefault(engine["engine_id"], (where, engine))
        differing = [name for name in engine if engine[name] != before.get(name)]
        if differing:
            raise WorkError(
                f"engine {engine['engine_id']} has another {differing[0]} in {where} than in "
                f"{first}; move one of the two raw files elsewhere and measure it as another build_index"
            )
    reasons = dict.fromkeys((*OFTEN_UNKNOWN, *OF_IMPORTED), "not_reported")
    return [row_of(ENGINES, {**engine, "input_shapes": _shapes(engine)}, reasons) for _, engine in found.values()]


def _shapes(engine: dict[str, Any]) -> str | None:
    return None if engine["input_shapes"] is None else canonical_json(engine["input_shapes"]).decode()
