"""How long deriving and checking a large dataset takes, how much memory, and how many bytes a row is on disk.

    python scripts/benchmarks/dataset_check.py [--executions 10000000] [--json]

The dataset is a campaign of pairs on the simulated l4: executions, overlaps, blocks, slowdowns and all. One
process, one core's worth of work; bytes beside CSV and JSON lines are of the same rows of `executions`.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.content_digest import dataset_digest
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec

EXECUTIONS_PER_BLOCK_S = 769_000  # what the spec below gave on the simulated l4, over its three pairs
LIMIT_S = 30.0  # of checking ten million executions
TEXT_ROWS = 200_000  # text formats are written for so many rows


def main() -> int:
    """Measure and print; exit 1 if checking 10 million executions would take longer than LIMIT_S."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=10_000_000)
    parser.add_argument("--place", type=Path, help="where the campaign is written; a temporary folder by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        found = _measured(Path(folder) / "campaign", options.executions)
    print(json.dumps(found, indent=1) if options.json else _told(found))
    return 0 if found["fast_enough"] else 1


def _measured(folder: Path, executions: int) -> dict[str, Any]:
    run_campaign(_spec(executions / EXECUTIONS_PER_BLOCK_S), folder, folder.parent / "cache", QuietProgress())
    began_s = time.monotonic()
    dataset = build_dataset(folder)
    built_s = time.monotonic()
    report = check_dataset(folder)
    checked_s = time.monotonic()
    dataset_digest(folder)
    digest_s = time.monotonic() - checked_s
    rows = {name: _rows(dataset / name) for name in ("executions", "overlaps")}
    per_10_million_s = (checked_s - built_s) * 10_000_000 / rows["executions"]
    return {
        "execution_count": rows["executions"],
        "overlap_count": rows["overlaps"],
        "build_s": round(built_s - began_s, 2),
        "check_s": round(checked_s - built_s, 2),
        "check_per_10_million_s": round(per_10_million_s, 2),
        "digest_s": round(digest_s, 2),
        "checks": len(report.checked),
        "faults": len(report.findings),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "fast_enough": report.ok and per_10_million_s <= LIMIT_S,
        **_bytes(dataset, rows),
    }


def _spec(block_s: float) -> Any:
    text = f"""
        name: dataset-check
        runner: simulated
        device: l4
        precision: fp16
        seed: 3
        engines: {{models: [resnet18, resnet34], batch_sizes: [1]}}
        experiments: [{{kind: solo}}, {{kind: pair}}]
        quality: {{look_quads: [8], block_s: {block_s}}}
    """
    return parse_spec(yaml.safe_load(text), "benchmark")


def _rows(table: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in table.rglob("*.parquet"))


def _bytes(dataset: Path, rows: dict[str, int]) -> dict[str, Any]:
    parquet = {name: sum(path.stat().st_size for path in (dataset / name).rglob("*.parquet")) for name in rows}
    path = next((dataset / "executions").rglob("*.parquet"))
    sample = pq.ParquetFile(path).read_row_group(0).slice(0, TEXT_ROWS)
    frame = _decoded(sample).to_pandas()
    return {
        "bytes_per_execution": round(parquet["executions"] / rows["executions"], 2),
        "bytes_per_overlap": round(parquet["overlaps"] / rows["overlaps"], 2),
        "csv_bytes_per_execution": round(len(frame.to_csv(index=False).encode()) / len(frame), 2),
        "json_lines_bytes_per_execution": round(len(frame.to_json(orient="records", lines=True)) / len(frame), 2),
    }


def _decoded(table: pa.Table) -> pa.Table:
    """Return words as text: as a program without Arrow would write them."""
    plain = [
        field.with_type(pa.string()) if pa.types.is_dictionary(field.type)
        else field.with_type(pa.list_(pa.string())) if field.name == "marks"
        else field
        for field in table.schema
    ]  # fmt: skip
    return table.cast(pa.schema(plain))


def _told(found: dict[str, Any]) -> str:
    return (
        f"{found['execution_count']:,} executions, {found['overlap_count']:,} overlap intervals: derived in "
        f"{found['build_s']} s, {found['checks']} checks in {found['check_s']} s ({found['faults']} faults), digest in "
        f"{found['digest_s']} s, peak {found['peak_rss_bytes'] / 2**30:.2f} GiB\n"
        f"bytes of a row of executions: {found['bytes_per_execution']} (CSV {found['csv_bytes_per_execution']}, JSON "
        f"lines {found['json_lines_bytes_per_execution']}); of overlaps: {found['bytes_per_overlap']}"
    )


if __name__ == "__main__":
    sys.exit(main())
