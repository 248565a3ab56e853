"""One device's experiments were measured by one version of the tool: another may define a number otherwise."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import DatasetCheck
from cotenant.datasets.check_subjects import SmallTables

OWN = "cotenant"


def run(small: SmallTables) -> Iterator[tuple[str, str]]:
    """Compare the versions that provenance tells of each device's experiments."""
    found: dict[str, dict[str, str]] = {}
    for row in small.rows["provenance"]:
        experiment = small.experiments.get(row["subject_id"])
        version = dict(row["versions"] or ()).get(OWN)
        if experiment is not None and version is not None:
            found.setdefault(experiment["device_id"], {}).setdefault(version, row["subject_id"])
    for device_id, versions in found.items():
        if len(versions) > 1:
            told = ", ".join(f"{version} (experiment {first})" for version, first in sorted(versions.items()))
            yield "provenance", f"device {device_id} was measured by several versions of {OWN}: {told}"


CHECK = DatasetCheck("versions", run)
