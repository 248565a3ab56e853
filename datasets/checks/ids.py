"""Ids are the digests that they are said to be, and no cell stands there twice."""

import json
from collections.abc import Iterator
from typing import Any

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.words import KINDS
from cotenant.models.digest import digest_id

SAID_TWICE = ("kind", "runner", "lanes", "condition", "repeat")  # in the spec and in a column


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Digest again what ids are made of."""
    seen: dict[tuple[str, str, int], str] = {}
    for row in small.rows["experiments"]:
        name = row["experiment_id"]
        first = seen.setdefault((row["cell_id"], row["device_id"], row["seed"]), name)
        if first != name:
            yield "experiments", f"{name} and {first} are both of cell {row['cell_id']}, on one device with one seed"
        yield from (("experiments", f"experiment {name}: {fault}") for fault in _faults(row))


def _faults(row: dict[str, Any]) -> Iterator[str]:
    spec = json.loads(row["spec"])
    if digest_id(spec) != row["cell_id"]:
        yield "cell_id is not the digest of spec"
    for column in SAID_TWICE:
        if spec.get(column, row[column]) != row[column]:
            yield f"{column} is {row[column]}, its spec says {spec[column]}"
    options = spec.get("options")
    limit = options.get("concurrency") if isinstance(options, dict) else None
    if limit is not None and limit != row["concurrency"]:
        yield f"concurrency is {row['concurrency']}, its spec says {limit}"
    whole = [row["cell_id"], row["seed"], row["deployed_engine_ids"], row["device_id"]]
    if not KINDS[row["kind"]].open_loop and digest_id(whole) != row["experiment_id"]:
        yield "experiment_id is not the digest of cell_id, seed, engines and device"


CHECK = DatasetCheck("ids", run)
