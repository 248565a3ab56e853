"""Each tenant has its engines and its lane, and blocks list every tenant that executed in them."""

from collections.abc import Iterator

import numpy as np

from cotenant.datasets.check_kinds import FORM, ExperimentCheck
from cotenant.datasets.experiment_rows import ExperimentRows
from cotenant.datasets.stored_experiment import faults_of_tenants
from cotenant.datasets.words import ARMS


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Put tenants and engines together, and see who ran in which block."""
    yield from faults_of_tenants(rows.experiment, rows.small.engines, rows.executions)
    names, places = np.unique(rows.words("tenant").astype(str), return_inverse=True)
    pairs = np.unique(rows.of_executions("block_index") * len(names) + places)
    for index, block in enumerate(rows.blocks):
        ran = [str(names[pair % len(names)]) for pair in pairs[pairs // len(names) == index]]
        wanted = sorted(set(block["tenants"]))
        if block["tenants"] != wanted or not set(ran) <= set(wanted):
            yield "blocks", f"block {block['block_index']} lists {block['tenants']}, its executions are of {ran}"
        elif ARMS[block["arm"]].in_quads and ran != wanted:
            yield "blocks", f"block {block['block_index']} lists {wanted}, of whom only {ran} executed"
        delays = block["offsets_ns"]
        if delays is not None and len(delays) != len(wanted):
            yield "blocks", f"block {block['block_index']} has {len(delays)} offsets_ns for {len(wanted)} tenants"


CHECK = ExperimentCheck("tenants", run, FORM)
