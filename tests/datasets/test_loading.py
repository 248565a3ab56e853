"""The examples of scripts/loading read the same training rows from an exported dataset, each with its own library."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from raw_campaign import small_campaign

from cotenant.datasets.build import build_dataset
from cotenant.datasets.export import export_dataset

EXAMPLES = Path(__file__).parents[2] / "scripts" / "loading"
NEEDS = {"pandas": "pandas", "polars": "polars", "duckdb": "duckdb", "hugging_face": "datasets", "torch": "torch"}
LIBRARIES = {**NEEDS, "ray": "ray"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    small_campaign(folder, quads=3)
    build_dataset(folder)
    export_dataset(folder, str(folder / "exported"))
    return folder / "exported"


def test_every_example_has_its_library_here() -> None:
    assert {path.stem.removeprefix("with_") for path in EXAMPLES.glob("*.py")} == set(LIBRARIES)


@pytest.mark.parametrize("example", LIBRARIES)
def test_an_example_reads_the_training_rows(
    example: str, exported: Path, tmp_path: Path, require: Callable[[str, bool, str], None]
) -> None:
    found = find_spec(LIBRARIES[example])
    require("loaders", found is not None and found.origin is not None, f"needs {LIBRARIES[example]}: pip install it")
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"with_{example}.py"), str(exported)],
        capture_output=True, text=True, check=False, env=os.environ | quiet, cwd=tmp_path, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    rows = pq.read_table(exported / "executions")
    main = [pc.equal(rows[name].cast("string"), word) for name, word in (("role", "main"), ("censored", "none"))]
    chosen = pc.and_(*main)
    trainable = rows.filter(pc.and_(chosen, pc.equal(rows["co_censored"].cast("string"), "none")))
    assert trainable.num_rows > 0
    assert done.stdout.split()[-2:] == [str(trainable.num_rows), str(pc.sum(trainable["span_ns"]).as_py())]
