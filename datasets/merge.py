"""Join campaigns of several machines: their raw files in one folder, from which one dataset is derived.

Ids are digests of what was measured where, so those of different devices, specs or seeds never collide. The same id
in two campaigns is the same measurement twice, which is kept once, or the same cell measured twice, which is refused:
nobody but the user can say which of the two counts.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cotenant.datasets import raw, raw_counters
from cotenant.datasets.build import build_dataset
from cotenant.datasets.folders import RAW, campaign_folder
from cotenant.datasets.imports.origin import RECORD as IMPORT
from cotenant.datasets.parquet import writing
from cotenant.datasets.raw_counters import COUNTERS
from cotenant.models.atomic import atomic_path, write_atomic
from cotenant.models.errors import UserError, WorkError
from cotenant.models.output_folder import made_folder

RECORD = "merged.json"
OWN = "provenance"  # of the metadata: when, where and with which versions, which two copies may tell differently


@dataclass(frozen=True)
class Source:
    """What one campaign brought.

    Attributes:
        duplicate_count: Experiments that an earlier campaign had brought already, the same to the last value.
    """

    folder: str
    experiment_count: int
    duplicate_count: int


@dataclass(frozen=True)
class Merged:
    """What came of it."""

    folder: Path
    dataset: Path
    sources: list[Source]
    notes: list[str]


def merge_campaigns(folders: Sequence[Path], out: Path) -> Merged:
    """Join campaign folders into `out` and derive its dataset; a rerun goes on where one was stopped.

    Raises:
        UserError: A folder is no campaign, `out` is something else, or one cell was measured twice differently.
        WorkError: A raw file is damaged, or campaigns contradict each other about a device or an engine.
    """
    campaigns = _campaigns(folders)
    _check_out(out, campaigns)
    with writing(out):
        raw.clean(made_folder(out / RAW))
        sources = [_take(campaign, out / RAW) for campaign in campaigns]
        for campaign in campaigns:
            _take_counters(campaign / COUNTERS, out / COUNTERS)
        record = [vars(source) for source in sources]
        write_atomic(out / RECORD, (json.dumps({"sources": record}, indent=1) + "\n").encode())
    return Merged(out, build_dataset(out), sources, _notes(out / RAW))


def _campaigns(folders: Sequence[Path]) -> list[Path]:
    found = []
    for folder in folders:
        campaign = campaign_folder(folder)
        if campaign is None and (folder / IMPORT).is_file():
            raise UserError(
                f"{folder} holds another tool's estimates, which have no {RAW}/ to merge; leave it a dataset by itself"
            )
        if campaign is None or not (campaign / RAW).is_dir():
            raise UserError(f"{folder} has no {RAW}/, which merging reads; name campaign folders")
        found.append(campaign)
    if len({campaign.resolve() for campaign in found}) < 2:
        raise UserError("merging takes at least two different campaign folders")
    return found


def _check_out(out: Path, campaigns: Sequence[Path]) -> None:
    if any(out.resolve() == campaign.resolve() for campaign in campaigns):
        raise UserError(f"{out} is one of the campaigns; choose another --out")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file, not a folder; choose another --out")
    strangers = [path.name for path in out.glob("*") if path.name not in (RAW, RECORD, "dataset", COUNTERS)]
    if strangers or ((out / RAW).is_dir() and not (out / RECORD).exists() and any((out / RAW).glob("*.parquet"))):
        raise UserError(f"{out} is not empty and no merged folder; choose another --out")


def _take(campaign: Path, target: Path) -> Source:
    """Copy what `target` lacks, each experiment's main file last."""
    ids, duplicates = sorted(raw.finished(campaign / RAW)), 0
    for experiment_id in ids:
        main = campaign / RAW / f"{experiment_id}{raw.SUFFIX}"
        kept = target / main.name
        if kept.exists():
            _check_same(main, kept)
            duplicates += 1
            continue
        for name in raw.read_metadata(main)["siblings"]:
            _copy(raw.sibling_path(main.parent, experiment_id, name), target)
        _copy(main, target)
    return Source(str(campaign), len(ids), duplicates)


def _take_counters(source: Path, target: Path) -> None:
    """Copy what `target` lacks of an engine's counters; the same id is the same engine, device, source and flags."""
    for counter_id in sorted(raw_counters.finished(source)):
        path = source / f"{counter_id}{raw.SUFFIX}"
        kept = made_folder(target) / path.name
        if not kept.exists():
            _copy(path, target)
            continue
        one, other = raw_counters.read_counters(path), raw_counters.read_counters(kept)
        if not one.kernels.equals(other.kernels) or _told(one.metadata) != _told(other.metadata):
            raise UserError(
                f"the counters {counter_id} were profiled twice with different results: {path} and one that is in "
                f"{kept} already; remove the one that you trust less"
            )


def _copy(path: Path, target: Path) -> None:
    if not path.is_file():
        raise WorkError(f"{path} is missing, though its experiment lists it; copy that campaign again")
    with atomic_path(target / path.name) as temporary:
        shutil.copyfile(path, temporary)


def _check_same(path: Path, kept: Path) -> None:
    one, other = raw.read_raw(path), raw.read_raw(kept)
    if one.executions.equals(other.executions) and _told(one.metadata) == _told(other.metadata):
        return
    raise UserError(
        f"experiment {one.metadata['experiment_id']} was measured twice with different results: {path} and one that "
        f"is in {kept} already; leave one of the two campaigns out, or measure with another `seed`"
    )


def _told(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metadata.items() if key != OWN}


def _notes(folder: Path) -> list[str]:
    """Return what differs between the experiments without being wrong: versions of the tool and of its runtimes."""
    versions: dict[str, set[str]] = {}
    for experiment_id in raw.finished(folder):
        found = raw.read_metadata(folder / f"{experiment_id}{raw.SUFFIX}")
        for package, version in (found[OWN].get("versions") or {}).items():
            versions.setdefault(package, set()).add(version)
    return [
        f"experiments were measured with {len(found)} versions of {package}: {', '.join(sorted(found))}"
        for package, found in sorted(versions.items())
        if len(found) > 1
    ]
