"""Feature tables by what a user chooses: counters that are left open are looked for in the dataset."""

from pathlib import Path
from typing import Any

from cotenant.datasets.features.counters import check_columns
from cotenant.datasets.features.derive import Derived, derive_features
from cotenant.datasets.features.known import Known
from cotenant.datasets.features.options import FeatureOptions
from cotenant.datasets.folders import dataset_folder


def make_features(
    folder: Path, source: str | None = None, counter_set: str | None = None, name: str | None = None, **chosen: Any
) -> Derived:
    """Derive a feature set, see `derive_features`.

    Args:
        source, counter_set: None for the best that is there: the preferred one of those that tell most engines.
        chosen: Other fields of FeatureOptions.

    Raises:
        UserError: A choice is none, or the dataset has no such counters.
    """
    wanted = FeatureOptions(source or "", counter_set or "", **chosen)
    check_columns(wanted.columns)
    choice = Known(dataset_folder(folder)).choose(wanted.columns, source, counter_set)
    return derive_features(folder, FeatureOptions(*choice, **chosen), name)
