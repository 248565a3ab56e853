"""A dataset copied to where others take it from: a folder or an object store, partitioned, with card and metadata.

Large tables are partitioned as `<table>/device_id=<id>/kind=<kind>/part-0.parquet`; both stay real columns as well, so
that a file read by itself says where it belongs. Everything else stays as it is, feature sets and splits too.
`croissant.json` is written last and holds the digest of every file: where it lies, the copy is whole.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from cotenant.datasets import card, croissant
from cotenant.datasets.card_facts import CardFacts, card_facts
from cotenant.datasets.columns import TABLES, Table
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.object_store import files_below, place_of
from cotenant.datasets.parquet import write_options, writing
from cotenant.datasets.read import table_files
from cotenant.models.errors import UserError, WorkError

PARTITIONS = ("device_id", "kind")
ON_DEMAND = ("features", "splits")  # made by commands of their own; copied as they are, where they are
ROW_GROUP_ROWS = 1 << 19
COPY_BYTES = 8 << 20


@dataclass(frozen=True)
class Exported:
    """What was copied."""

    destination: str
    file_count: int
    size_bytes: int


def export_dataset(
    folder: Path, destination: str, name: str | None = None, licence: str | None = None, url: str | None = None
) -> Exported:
    """Copy the dataset of a campaign folder, or one on its own; raises as `read_table`.

    Raises:
        UserError: The destination holds something else, or is of a scheme that nothing here knows.
        WorkError: The store cannot be reached or refuses.
    """
    system, path = place_of(destination)
    _check_free(system, path, destination)
    with tempfile.TemporaryDirectory(prefix="cotenant-export-") as staging:
        staged = Path(staging) / "dataset"
        facts = _staged(dataset_folder(folder), staged, card_facts(folder, name, licence, url))
        (staged / card.FILE).write_text(card.card_text(facts), encoding="utf-8")
        (staged / croissant.FILE).write_text(croissant.croissant_text(staged, facts), encoding="utf-8")
        return _sent(staged, system, path, destination)


def write_descriptions(
    folder: Path, name: str | None = None, licence: str | None = None, url: str | None = None
) -> Path:
    """Write card and metadata into a dataset where it lies, and return it."""
    dataset = dataset_folder(folder)
    facts = card_facts(folder, name, licence, url)
    with writing(dataset):
        (dataset / card.FILE).write_text(card.card_text(facts), encoding="utf-8")
        (dataset / croissant.FILE).write_text(croissant.croissant_text(dataset, facts), encoding="utf-8")
    return dataset


def _check_free(system: FileSystem, path: str, destination: str) -> None:
    found = files_below(system, path)
    if found and croissant.FILE not in found:
        raise UserError(f"{destination} is not empty and no exported dataset ({found[0]}); choose another place")


def _staged(dataset: Path, staged: Path, facts: CardFacts) -> CardFacts:
    for name in facts.row_counts:
        table, files = TABLES[name], table_files(dataset, name)
        if table.large and facts.row_counts[name]:
            _partition(table, files, staged / name)
        else:
            for path in files:
                _place(path, staged / path.relative_to(dataset))
    for name in ON_DEMAND:
        for path in sorted((dataset / name).rglob("*")):
            if path.is_file():
                _place(path, staged / path.relative_to(dataset))
    return facts


def _place(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if _same_disk(path, target.parent):
        target.hardlink_to(path)
    else:
        shutil.copyfile(path, target)


def _same_disk(path: Path, folder: Path) -> bool:
    return path.stat().st_dev == folder.stat().st_dev


def _partition(table: Table, files: list[Path], target: Path) -> None:
    """Write one file for each device and kind, rows in the order that they had."""
    writers: dict[tuple[str, ...], pq.ParquetWriter] = {}
    try:
        for path in files:
            for key, piece in _pieces(path):
                if key not in writers:
                    place = target.joinpath(*(f"{n}={v}" for n, v in zip(PARTITIONS, key, strict=True)))
                    place.mkdir(parents=True)
                    options = write_options(piece.schema)
                    writers[key] = pq.ParquetWriter(place / "part-0.parquet", piece.schema, **options)
                writers[key].write_table(piece, row_group_size=ROW_GROUP_ROWS)
    finally:
        for writer in writers.values():
            writer.close()


def _pieces(path: Path) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
    with pq.ParquetFile(path) as file:
        for index in range(file.num_row_groups):
            group = file.read_row_group(index).replace_schema_metadata(file.schema_arrow.metadata)
            keys = [group[name].cast(pa.string()) for name in PARTITIONS]
            pairs = pa.table(dict(zip(PARTITIONS, keys, strict=True))).group_by(list(PARTITIONS)).aggregate([])
            for row in pairs.sort_by([(name, "ascending") for name in PARTITIONS]).to_pylist():
                key = tuple(row[name] for name in PARTITIONS)
                chosen = pc.and_(*(pc.equal(column, value) for column, value in zip(keys, key, strict=True)))
                yield key, group.filter(chosen)


def _sent(staged: Path, system: FileSystem, path: str, destination: str) -> Exported:
    """Copy files; an earlier metadata file goes first and ours comes last: none ever tells of half a copy."""
    names = [found.relative_to(staged).as_posix() for found in sorted(staged.rglob("*")) if found.is_file()]
    ordered = sorted(names, key=lambda name: name == croissant.FILE)
    try:
        before = files_below(system, path)
        for stale in sorted(before, key=lambda name: name != croissant.FILE):
            if stale == croissant.FILE or stale not in names:
                system.delete_file(f"{path}/{stale}")
        for name in ordered:
            target = f"{path}/{name}"
            system.create_dir(target.rpartition("/")[0], recursive=True)
            with (staged / name).open("rb") as source, system.open_output_stream(target) as stream:
                shutil.copyfileobj(source, stream, COPY_BYTES)
    except OSError as error:
        raise WorkError(f"{destination} cannot be written: {error}; mend it and run the same command again") from error
    return Exported(destination, len(names), sum((staged / name).stat().st_size for name in names))


def fetch_dataset(source: str, folder: Path) -> Exported:
    """Copy an exported dataset from a folder or an object store into `folder`, and verify every digest.

    Raises:
        UserError: There is no exported dataset at the source, or `folder` is not empty.
        WorkError: The store cannot be reached, or a file is not what the metadata says.
    """
    from cotenant.models.digest import sha256_of_file

    system, path = place_of(source)
    names = files_below(system, path)
    if croissant.FILE not in names:
        raise UserError(f"{source} holds no exported dataset: it has no {croissant.FILE}")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; choose another folder")
    with writing(folder):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with system.open_input_stream(f"{path}/{name}") as stream, (folder / name).open("wb") as target:
                shutil.copyfileobj(stream, target, COPY_BYTES)
    told = json.loads((folder / croissant.FILE).read_text(encoding="utf-8"))
    for entry in told["distribution"]:
        if "sha256" in entry and sha256_of_file(folder / entry["contentUrl"]) != entry["sha256"]:
            raise WorkError(f"{source}: {entry['contentUrl']} is not the file that its metadata lists; export it again")
    return Exported(str(folder), len(names), sum((folder / name).stat().st_size for name in names))
