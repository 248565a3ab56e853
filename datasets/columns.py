"""The one table of columns: schema, validation and documentation of every table come from here (design section 5)."""

from cotenant.datasets.column import NAMED_UNITS, UNIT_SUFFIXES, Column, Table
from cotenant.datasets.tables.agreements import AGREEMENTS
from cotenant.datasets.tables.blocks import BLOCKS
from cotenant.datasets.tables.devices import DEVICES
from cotenant.datasets.tables.engines import ENGINES
from cotenant.datasets.tables.executions import EXECUTIONS
from cotenant.datasets.tables.experiments import EXPERIMENTS
from cotenant.datasets.tables.kernels import KERNELS
from cotenant.datasets.tables.overlaps import OVERLAPS
from cotenant.datasets.tables.provenance import PROVENANCE
from cotenant.datasets.tables.requests import REQUESTS
from cotenant.datasets.tables.sensitivities import SENSITIVITIES
from cotenant.datasets.tables.slowdowns import SLOWDOWNS
from cotenant.datasets.tables.solo_profiles import SOLO_PROFILES
from cotenant.datasets.tables.telemetry import TELEMETRY
from cotenant.datasets.tables.throughputs import THROUGHPUTS

SCHEMA_VERSION = "1.0"

__all__ = [
    "AGREEMENTS",
    "BLOCKS",
    "DEVICES",
    "ENGINES",
    "EXECUTIONS",
    "EXPERIMENTS",
    "KERNELS",
    "LARGE",
    "NAMED_UNITS",
    "OVERLAPS",
    "PROVENANCE",
    "REQUESTS",
    "SCHEMA_VERSION",
    "SENSITIVITIES",
    "SLOWDOWNS",
    "SOLO_PROFILES",
    "TABLES",
    "TELEMETRY",
    "THROUGHPUTS",
    "UNIT_SUFFIXES",
    "Column",
    "Table",
]

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        DEVICES, ENGINES, SOLO_PROFILES, THROUGHPUTS, KERNELS, AGREEMENTS, EXPERIMENTS, BLOCKS, SLOWDOWNS,
        SENSITIVITIES, EXECUTIONS, OVERLAPS,
        REQUESTS, TELEMETRY, PROVENANCE,
    )
}  # fmt: skip

LARGE: tuple[Table, ...] = tuple(table for table in TABLES.values() if table.large)
