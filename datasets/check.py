"""Check a dataset: every check is a module of checks/ that defines CHECK; a new file is a new check."""

import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pyarrow as pa

from cotenant.datasets.check_subjects import DatasetCheck, ExperimentCheck, ExperimentRows, Finding, SmallTables
from cotenant.datasets.columns import TABLES
from cotenant.datasets.folders import campaign_folder, dataset_folder
from cotenant.datasets.read import TableDamagedError, experiment_slices, read_table, table_files
from cotenant.datasets.schema import arrow_schema
from cotenant.datasets.schema_faults import schema_faults

LARGE = ("executions", "overlaps")
FINDINGS_MAX = 20  # of one check in one table; more of the same tell nothing new


@dataclass(frozen=True)
class CheckReport:
    """What was checked and what is wrong."""

    findings: list[Finding]
    checked: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def check_dataset(folder: Path) -> CheckReport:
    """Check a campaign folder's dataset, or a dataset on its own; with a campaign folder its raw files too.

    Raises:
        UserError: There is no dataset, or it is of a newer cotenant.
    """
    dataset = dataset_folder(folder)
    findings = list(_schema(dataset))
    if findings:
        return CheckReport(findings, ["schema"])
    try:
        return _check_values(dataset, campaign_folder(folder))
    except TableDamagedError as error:  # its footer is whole, its pages are not
        return CheckReport([Finding("schema", error.table, str(error))], ["schema"])


def _check_values(dataset: Path, campaign: Path | None) -> CheckReport:
    dataset_checks, experiment_checks = all_checks()
    tables = {name: read_table(dataset, name) for name in TABLES if name not in LARGE}
    small = SmallTables(dataset, campaign, tables)
    findings = [Finding(check.name, *found) for check in dataset_checks for found in check.run(small)]
    order = list(_order(dataset))
    findings += order
    if not order:
        findings += _experiments(small, experiment_checks)
    names = [check.name for check in dataset_checks] + [check.name for check in experiment_checks]
    return CheckReport(_limited(findings), ["schema", "order", *names])


@cache
def all_checks() -> tuple[list[DatasetCheck], list[ExperimentCheck]]:
    """Return all checks, by name; those that others rely on first."""
    package = import_module("cotenant.datasets.checks")
    found = [import_module(f"{package.__name__}.{e.name}").CHECK for e in pkgutil.iter_modules(package.__path__)]
    of_experiments = [check for check in found if isinstance(check, ExperimentCheck)]
    return (
        sorted((check for check in found if isinstance(check, DatasetCheck)), key=lambda check: check.name),
        sorted(of_experiments, key=lambda check: (not check.first, check.name)),
    )


def _schema(dataset: Path) -> Iterator[Finding]:
    for name in TABLES:
        try:
            for path in table_files(dataset, name):
                yield from (Finding("schema", name, fault) for fault in schema_faults(path, TABLES[name]))
        except TableDamagedError as error:
            yield Finding("schema", name, str(error))


def _order(dataset: Path) -> Iterator[Finding]:
    """Large tables are sorted by experiment: each one's rows lie together."""
    for name in LARGE:
        before = ""
        for experiment_id in _ids(dataset, name):
            if experiment_id <= before:
                yield Finding("order", name, f"rows of {experiment_id} come after rows of {before}: not sorted by key")
                break
            before = experiment_id


def _ids(dataset: Path, name: str) -> Iterator[str]:
    for experiment_id, _ in experiment_slices(dataset, name, ["experiment_id"]):
        yield experiment_id


def _experiments(small: SmallTables, checks: Sequence[ExperimentCheck]) -> Iterator[Finding]:
    slices = {name: _Slices(small.dataset, name) for name in LARGE}
    for experiment_id in sorted(small.experiments):
        found = {name: source.take(experiment_id) for name, source in slices.items()}
        rows = ExperimentRows(small, small.experiments[experiment_id], found["executions"], found["overlaps"])
        yield from _one(rows, checks)
    for name, source in slices.items():
        for experiment_id in source.foreign():
            yield Finding("references", name, f"rows of {experiment_id}, which experiments does not have")


def _one(rows: ExperimentRows, checks: Sequence[ExperimentCheck]) -> Iterator[Finding]:
    faulty = False
    for check in checks:
        if faulty and not check.first:
            return
        for table, message in check.run(rows):
            faulty = faulty or check.first
            yield Finding(check.name, table, f"experiment {rows.experiment['experiment_id']}: {message}")


class _Slices:
    """Hands out a sorted large table's rows experiment by experiment."""

    def __init__(self, dataset: Path, name: str) -> None:
        self._source = experiment_slices(dataset, name)
        self._head = next(self._source, None)
        self._none = TABLES[name]
        self._foreign: list[str] = []

    def take(self, experiment_id: str) -> pa.Table:
        """Return an experiment's rows, none if it has none; ids are asked for in rising order."""
        while self._head is not None and self._head[0] < experiment_id:
            self._foreign.append(self._head[0])
            self._head = next(self._source, None)
        if self._head is None or self._head[0] != experiment_id:
            return _empty(self._none.name)
        found = self._head[1]
        self._head = next(self._source, None)
        return found

    def foreign(self) -> list[str]:
        """Return the ids that nobody has asked for."""
        rest = [] if self._head is None else [self._head[0], *(experiment_id for experiment_id, _ in self._source)]
        return self._foreign + rest


def _empty(name: str) -> pa.Table:
    return arrow_schema(TABLES[name]).empty_table()


def _limited(findings: Sequence[Finding]) -> list[Finding]:
    kept: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        kept.setdefault((finding.check, finding.table), []).append(finding)
    limited = []
    for (check, table), found in kept.items():
        limited += found[:FINDINGS_MAX]
        if len(found) > FINDINGS_MAX:
            limited.append(Finding(check, table, f"and {len(found) - FINDINGS_MAX} more like these"))
    return limited
