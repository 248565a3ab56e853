"""Whether lanes run side by side follows from a self-test's makespan, and is the same wherever it is repeated."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare with the threshold in force, and with the self-tests of the device in this isolation."""
    ratios: dict[tuple[str, str], set[float]] = {}
    for row in small.rows["experiments"]:
        if row["kind"] == "self_test":
            own = ratios.setdefault((row["device_id"], row["isolation_observed"]), set())
            own.add(row["self_test_makespan_ratio"])
    for experiment_id, row in small.experiments.items():
        ratio, passed = row["self_test_makespan_ratio"], row["self_test_passed"]
        if (ratio is None) != (passed is None):
            yield "experiments", f"experiment {experiment_id}: self_test_passed is {passed} at a makespan of {ratio}"
            continue
        limit = small.thresholds[experiment_id].get("self_test_max_ratio")
        if ratio is not None and limit is not None and passed != (ratio < limit):
            yield "experiments", f"experiment {experiment_id}: self_test_passed is {passed} at {ratio}, limit {limit}"
        known = ratios.get((row["device_id"], row["isolation_observed"]))
        if ratio is not None and known is not None and ratio not in known:
            yield "experiments", f"experiment {experiment_id}: no self-test here has the makespan ratio {ratio}"


CHECK = DatasetCheck("self-tests", run)
