"""Solo profiles follow from the executions alone: they are pooled again."""

from collections.abc import Iterator, Sequence

from cotenant.datasets.check_kinds import PooledCheck
from cotenant.datasets.check_subjects import SmallTables
from cotenant.datasets.columns import SOLO_PROFILES
from cotenant.datasets.derive.solo_profiles import pool_profiles, profile_rows, utilizations
from cotenant.datasets.derive.summary import Summary
from cotenant.datasets.differences import differences


def run(small: SmallTables, summaries: Sequence[Summary]) -> Iterator[tuple[str, str]]:
    """Compare each profile with the executions of all experiments that make it."""
    again = profile_rows(pool_profiles(summaries), utilizations(small.rows["throughputs"]))
    yield from differences("solo_profiles", small.rows["solo_profiles"], again, SOLO_PROFILES.key, "its executions say")


CHECK = PooledCheck("solo profiles", run)
