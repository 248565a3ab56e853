"""Check a dataset: every check is a module of checks/ that defines CHECK; a new file is a new check.

    schema | checks of small tables, stage by stage | order | per experiment, stage by stage | all experiments together

What a stage finds keeps the later ones from running: they rely on it, and would only say the same in other words.
"""

import pkgutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from cotenant.datasets.check_kinds import CONTENT, Check, DatasetCheck, ExperimentCheck, Finding, PooledCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import TABLES
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.experiment_rows import LARGE_NAMES, ExperimentRows
from cotenant.datasets.features.check import feature_faults
from cotenant.datasets.folders import campaign_folder, dataset_folder
from cotenant.datasets.read import TableDamagedError, experiment_slices, read_table, table_files
from cotenant.datasets.schema import arrow_schema
from cotenant.datasets.schema_faults import schema_faults
from cotenant.datasets.splits.check import split_faults
from cotenant.datasets.tables.features import FEATURES
from cotenant.datasets.tables.splits import SPLITS

FINDINGS_MAX = 20  # of one check in one table; more of the same tell nothing new


class Slices(Protocol):
    """Opens a large table anew: (experiment_id, its rows) in the table's order."""

    def __call__(self, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
        """Yield it anew; `columns` are those to read, all by default."""


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
        small = SmallTables(
            campaign_folder(folder), {n: read_table(dataset, n) for n in TABLES if n not in LARGE_NAMES}
        )
        report = check_tables(small, {name: partial(experiment_slices, dataset, name) for name in LARGE_NAMES})
    except TableDamagedError as error:  # its footer is whole, its pages are not
        return CheckReport([Finding("schema", error.table, str(error))], ["schema"])
    return _with_splits(_with_features(report, dataset), dataset) if report.ok else report


def _with_features(report: CheckReport, dataset: Path) -> CheckReport:
    """Add what is wrong with feature sets, which a dataset may have and need not."""
    if not (dataset / FEATURES).is_dir():
        return report
    found = [Finding("features", where, fault) for where, fault in feature_faults(dataset)]
    return CheckReport(_limited([*report.findings, *found]), [*report.checked, "features"])


def _with_splits(report: CheckReport, dataset: Path) -> CheckReport:
    """Add what is wrong with splits, which a dataset may have and need not."""
    if not (dataset / SPLITS).is_dir():
        return report
    found = [Finding("splits", where, fault) for where, fault in split_faults(dataset)]
    return CheckReport(_limited([*report.findings, *found]), [*report.checked, "splits"])


def check_tables(small: SmallTables, large: Mapping[str, Slices]) -> CheckReport:
    """Check tables whose schemas are right, wherever they lie.

    Args:
        large: How to open each large table.
    """
    dataset_checks, experiment_checks, pooled_checks = all_checks()
    checked = ["schema"]
    findings: list[Finding] = []
    for stage in sorted({check.stage for check in dataset_checks}):
        now = [check for check in dataset_checks if check.stage == stage]
        found = [Finding(check.name, *fault) for check in now for fault in check.run(small)]
        checked += [check.name for check in now]
        findings += found
        if found and stage < CONTENT:
            return CheckReport(_limited(findings), checked)
    order = list(_order(large))
    checked.append("order")
    if order:
        return CheckReport(_limited(findings + order), checked)
    summaries: list[Summary] = []
    findings += _experiments(small, large, experiment_checks, summaries)
    checked += [check.name for check in experiment_checks]
    if len(summaries) == len(small.experiments):  # else it is known already what is wrong with the rest
        findings += [Finding(c.name, *fault) for c in pooled_checks for fault in c.run(small, summaries)]
        checked += [check.name for check in pooled_checks]
    return CheckReport(_limited(findings), checked)


@cache
def all_checks() -> tuple[list[DatasetCheck], list[ExperimentCheck], list[PooledCheck]]:
    """Return all checks by stage and name: of small tables, of one experiment's rows, of all experiments together."""
    package = import_module("cotenant.datasets.checks")
    found: list[Check] = [
        import_module(f"{package.__name__}.{entry.name}").CHECK for entry in pkgutil.iter_modules(package.__path__)
    ]
    return (
        sorted((c for c in found if isinstance(c, DatasetCheck)), key=lambda check: (check.stage, check.name)),
        sorted((c for c in found if isinstance(c, ExperimentCheck)), key=lambda check: (check.stage, check.name)),
        sorted((c for c in found if isinstance(c, PooledCheck)), key=lambda check: check.name),
    )


def _schema(dataset: Path) -> Iterator[Finding]:
    for name in TABLES:
        try:
            for path in table_files(dataset, name):
                yield from (Finding("schema", name, fault) for fault in schema_faults(path, TABLES[name]))
        except TableDamagedError as error:
            yield Finding("schema", name, str(error))


def _order(large: Mapping[str, Slices]) -> Iterator[Finding]:
    """Large tables are sorted by experiment: each one's rows lie together."""
    for name, source in large.items():
        before = ""
        for experiment_id, _ in source(["experiment_id"]):
            if experiment_id is None or experiment_id <= before:
                yield Finding("order", name, f"rows of {experiment_id} come after rows of {before}: not sorted by key")
                break
            before = experiment_id


def _experiments(
    small: SmallTables, large: Mapping[str, Slices], checks: Sequence[ExperimentCheck], summaries: list[Summary]
) -> Iterator[Finding]:
    """Check one experiment after the other, and keep the summaries of those that can be summarised."""
    rests = {name: _Rest(name, source) for name, source in large.items()}
    for experiment_id in sorted(small.experiments):
        found = {name: rest.take(experiment_id) for name, rest in rests.items()}
        rows = ExperimentRows(small, small.experiments[experiment_id], found)
        whole = yield from _one(rows, checks)
        if whole:
            summaries.append(rows.summary)
    for name, rest in rests.items():
        for experiment_id in rest.foreign():
            yield Finding("references", name, f"rows of {experiment_id}, which experiments does not have")


def _one(rows: ExperimentRows, checks: Sequence[ExperimentCheck]) -> Generator[Finding, None, bool]:
    """Yield an experiment's findings; returns whether all stages ran."""
    faulty_stage = CONTENT
    for check in checks:
        if check.stage > faulty_stage:
            return False
        for table, message in check.run(rows):
            faulty_stage = min(faulty_stage, check.stage)
            yield Finding(check.name, table, f"experiment {rows.experiment['experiment_id']}: {message}")
    return faulty_stage == CONTENT


class _Rest:
    """Hands out a sorted large table's rows experiment by experiment."""

    def __init__(self, name: str, source: Slices) -> None:
        self._source = source()
        self._head = next(self._source, None)
        self._name = name
        self._foreign: list[str] = []

    def take(self, experiment_id: str) -> pa.Table:
        """Return an experiment's rows, none if it has none; ids are asked for in rising order."""
        while self._head is not None and self._head[0] < experiment_id:
            self._foreign.append(self._head[0])
            self._head = next(self._source, None)
        if self._head is None or self._head[0] != experiment_id:
            return arrow_schema(TABLES[self._name]).empty_table()
        found = self._head[1]
        self._head = next(self._source, None)
        return found

    def foreign(self) -> list[str]:
        """Return the ids that nobody has asked for."""
        rest = [] if self._head is None else [self._head[0], *(experiment_id for experiment_id, _ in self._source)]
        return self._foreign + rest


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
