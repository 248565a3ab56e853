"""The benchmark's ways to features, pandas and polars, are independent implementations: all tables are equal."""

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts" / "benchmarks"


@pytest.mark.parametrize("lanes", [2, 3])
def test_pandas_and_polars_find_the_same(tmp_path: Path, lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("polars", reason="needs the extra bench")
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    from features import overlaps_of  # type: ignore[import-not-found]
    from features_dataset import write_dataset  # type: ignore[import-not-found]
    from features_ways import WAYS, differences  # type: ignore[import-not-found]

    dataset = write_dataset(tmp_path / "dataset", 1500, 600, lanes)
    overlaps_of(dataset)
    paths = [way(dataset, tmp_path / f"{name}.parquet") for name, way in WAYS.items()]
    assert [differences(paths[0], path) for path in paths[1:]] == [[], []]


def test_one_long_experiment_gives_what_it_gives_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    import features_dataset

    from cotenant.datasets.features import derive
    from cotenant.datasets.features.options import FeatureOptions

    monkeypatch.setattr(features_dataset, "PART_ROWS", 700)
    dataset = features_dataset.write_long_dataset(tmp_path / "dataset", 2000, 4)
    options = FeatureOptions("simulated", "simulated")
    whole = derive.derive_features(dataset, options).set.path.read_bytes()
    monkeypatch.setattr(derive, "WINDOW_ROWS", 37)
    assert derive.derive_features(dataset, options).set.path.read_bytes() == whole
