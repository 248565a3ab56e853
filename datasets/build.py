"""Derive a dataset from raw files alone: sorted, by one writer, byte for byte the same each time.

counters/*.parquet: what was profiled apart
raw/*.parquet --> first pass: each experiment is summarised --> profiles, noise floors, slowdowns
              --> second pass: executions, overlaps and requests are streamed, one experiment after the other
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cotenant.datasets import columns, raw
from cotenant.datasets.derive.agreements import agreement_rows
from cotenant.datasets.derive.blocks import block_rows
from cotenant.datasets.derive.counters import Counters, counter_files, devices_of, engines_of, open_counters
from cotenant.datasets.derive.devices import device_rows, noise_floors
from cotenant.datasets.derive.engines import engine_rows
from cotenant.datasets.derive.experiments import experiment_row
from cotenant.datasets.derive.large import LargeTables
from cotenant.datasets.derive.open_raw import open_measured
from cotenant.datasets.derive.probe_throughputs import probe_rows
from cotenant.datasets.derive.provenance import provenance_rows
from cotenant.datasets.derive.sensitivities import sensitivity_rows
from cotenant.datasets.derive.siblings import open_sibling
from cotenant.datasets.derive.slowdowns import slowdown_rows
from cotenant.datasets.derive.solo_profiles import pool_profiles, profile_rows, utilizations
from cotenant.datasets.derive.summary import Summary, summarise
from cotenant.datasets.derive.throughputs import completed, throughput_rows
from cotenant.datasets.folders import DATASET, RAW, campaign_folder
from cotenant.datasets.parquet import reading, writing
from cotenant.datasets.schema import table_of
from cotenant.datasets.solo import SoloProfiles
from cotenant.datasets.table_writer import TableWriter
from cotenant.models.atomic import sync_file, sync_folder
from cotenant.models.digest import sha256_of_file
from cotenant.models.errors import UserError, WorkError

BUILDING_PREFIX = ".building-"
Row = dict[str, Any]


def build_dataset(folder: Path) -> Path:
    """Derive dataset/ of a campaign folder anew and return it; the old one stays until the new one is complete.

    Raises:
        UserError: The folder is no campaign folder, cannot be written to, or is being derived by another process.
        WorkError: Nothing has been measured yet, a raw file is damaged, or experiments contradict each other.
    """
    campaign = campaign_folder(folder)
    if campaign is None or not (campaign / RAW).is_dir():
        raise UserError(f"{folder} has no {RAW}/ to derive a dataset from; name a campaign folder")
    paths = [campaign / RAW / f"{found}{raw.SUFFIX}" for found in sorted(raw.finished(campaign / RAW))]
    if not paths:
        raise WorkError(f"{campaign / RAW} has no finished experiment yet; run the campaign first")
    target = campaign / DATASET
    with writing(target), _only_builder(campaign):
        building = Path(tempfile.mkdtemp(prefix=BUILDING_PREFIX, dir=campaign))
        try:
            _derive(paths, counter_files(campaign), building / DATASET)
            _make_durable(building / DATASET)
            if target.exists():
                target.rename(building / "old")
            (building / DATASET).rename(target)
            sync_folder(campaign)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return target


@contextmanager
def _only_builder(campaign: Path) -> Iterator[None]:
    """Keep a second builder out and remove what a killed one left."""
    handle = os.open(campaign, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{campaign / DATASET} is being derived by another process; wait for it") from error
        for leftover in campaign.glob(f"{BUILDING_PREFIX}*"):
            shutil.rmtree(leftover)
        yield
    finally:
        os.close(handle)


def _make_durable(dataset: Path) -> None:
    dataset.chmod(0o755)
    for path in sorted(dataset.rglob("*")):
        if path.is_file():
            sync_file(path)
        else:
            sync_folder(path)


def _derive(paths: Sequence[Path], counter_paths: Sequence[Path], dataset: Path) -> None:
    counters = Counters()
    summaries = [_first_pass(path, counters) for path in paths]
    profiled = [open_counters(path) for path in counter_paths]
    for path, found in zip(counter_paths, profiled, strict=True):
        counters.add_file(path, found)
    floors = noise_floors(summaries)
    devices = device_rows(summaries, floors, devices_of(profiled))
    engines = engine_rows(summaries, engines_of(profiled))
    profiles = profile_rows(pool_profiles(summaries), utilizations(counters.throughputs))
    slowdowns = slowdown_rows(summaries, floors)
    experiments = _second_pass(paths, dataset, summaries, profiles, slowdowns)
    sensitivities = sensitivity_rows(experiments, slowdowns, engines)
    throughputs = [
        *throughput_rows(engines, devices, profiles),
        *completed(counters.throughputs, profiles),
        *probe_rows(sensitivities, engines, devices),
    ]
    small = [
        (columns.DEVICES, devices),
        (columns.ENGINES, engines),
        (columns.SOLO_PROFILES, profiles),
        (columns.THROUGHPUTS, throughputs),
        (columns.KERNELS, counters.kernels),
        (columns.AGREEMENTS, agreement_rows(throughputs, engines)),
        (columns.EXPERIMENTS, experiments),
        (columns.BLOCKS, block_rows(summaries)),
        (columns.SLOWDOWNS, slowdowns),
        (columns.SENSITIVITIES, sensitivities),
        (columns.PROVENANCE, provenance_rows(summaries, _digests([*paths, *counter_paths]), profiled)),
    ]
    for table, rows in small:
        with TableWriter(dataset, table) as writer:
            writer.write(table_of(table, rows))


def _first_pass(path: Path, counters: Counters) -> Summary:
    measured = open_measured(path)
    kernels = open_sibling(path, measured, columns.KERNELS.name)
    counters.add(measured, [] if kernels is None else kernels.to_pylist())
    return summarise(measured)


def _second_pass(
    paths: Sequence[Path],
    dataset: Path,
    summaries: Sequence[Summary],
    profiles: Sequence[Row],
    slowdowns: Sequence[Row],
) -> list[Row]:
    """Write the large tables and return the rows of the experiments table."""
    by_experiment: dict[str, list[Row]] = {}
    for row in slowdowns:
        by_experiment.setdefault(row["experiment_id"], []).append(row)
    known = SoloProfiles(profiles)
    experiments = []
    with LargeTables(dataset) as large:
        for path, summary in zip(paths, summaries, strict=True):
            written = large.write(path, open_measured(path), known)
            own = by_experiment.get(summary.metadata["experiment_id"], [])
            experiments.append(experiment_row(summary, written, own))
    return experiments


def _digests(paths: Sequence[Path]) -> dict[str, str]:
    found = {}
    for path in paths:
        with reading(path):
            found[path.name.removesuffix(raw.SUFFIX)] = sha256_of_file(path)
    return found
