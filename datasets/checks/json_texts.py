"""Columns that hold JSON objects do, written as everywhere: keys sorted, no spaces."""

import json
from collections.abc import Iterator

from cotenant.datasets.check_kinds import FORM, DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.models.digest import canonical_json

COLUMNS = {"experiments": ("spec", "quality"), "engines": ("input_shapes",)}


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Read each and write it again."""
    for table, names in COLUMNS.items():
        for index, row in enumerate(small.rows[table]):
            for name in names:
                if row[name] is not None and not _is_canonical_object(row[name]):
                    yield table, f"row {index}: {name} is no JSON object with sorted keys and without spaces"


def _is_canonical_object(text: str) -> bool:
    try:
        found = json.loads(text)
        return isinstance(found, dict) and canonical_json(found).decode() == text
    except (ValueError, RecursionError):
        return False


CHECK = DatasetCheck("json", run, FORM)
