"""Verdicts follow from the stored facts."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.derive.experiments import facts_of
from cotenant.datasets.verdicts import judge


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Judge each experiment again from its rows."""
    for experiment_id, row in small.experiments.items():
        facts = facts_of(row, small.thresholds[experiment_id], small.slowdowns.get(experiment_id, []))
        verdict, reasons = judge(facts)
        if (row["verdict"], row["verdict_reasons"]) != (verdict, reasons):
            yield (
                "experiments",
                f"experiment {experiment_id} says {row['verdict']} {row['verdict_reasons']}, "
                f"its facts say {verdict} {reasons}",
            )


CHECK = DatasetCheck("verdicts", run)
