"""Only what another tool measured may lack what every measurement of this one has."""

from collections.abc import Iterator
from typing import Any

from cotenant.datasets.check_kinds import FORM, DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.derive.engines import OF_IMPORTED as OF_ENGINES
from cotenant.datasets.derive.experiments import OF_IMPORTED as OF_EXPERIMENTS

IMPORTED = "imported"
OPENED = {  # table -> (what tells an imported row, columns that it alone may lack)
    "engines": ("engine_kind", OF_ENGINES),
    "experiments": ("kind", OF_EXPERIMENTS),
    "slowdowns": ("source", ("sample_count", "solo_sample_count")),
}


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Look at what is null, and at who deploys imported engines."""
    for table, (mark, columns) in OPENED.items():
        for index, row in enumerate(small.rows[table]):
            for column in columns:
                if row[column] is None and row[mark] != IMPORTED:
                    yield table, f"row {index}: {column} is null, which only another tool's may be"
    engines = {engine_id for engine_id, row in small.engines.items() if row["engine_kind"] == IMPORTED}
    for name, row in small.experiments.items():
        yield from (("experiments", fault) for fault in _deployed(name, row, engines))


def _deployed(name: str, row: dict[str, Any], engines: set[str]) -> Iterator[str]:
    for engine_id in sorted(engines & set(row["deployed_engine_ids"])):
        if row["kind"] != IMPORTED:
            yield f"experiment {name} was measured, but its engine {engine_id} is imported"


CHECK = DatasetCheck("unreported", run, FORM)
