"""A digest of a dataset's schema and values: the same whatever version of pyarrow wrote the files, and however.

Row groups, encodings and compression do not count. `provenance`, which holds wall-clock facts, does not either: on a
simulated device two runs of one spec and seed have the same digest.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cotenant.datasets.columns import PROVENANCE, TABLES, Table
from cotenant.datasets.folders import dataset_folder
from cotenant.datasets.read import experiment_slices, table_files
from cotenant.datasets.schema import type_name
from cotenant.models.digest import canonical_json, sha256_of


def dataset_digest(folder: Path) -> str:
    """Return the digest of a campaign folder's dataset, or of a dataset on its own; raises as `table_files`."""
    dataset = dataset_folder(folder)
    return sha256_of({name: _table(dataset, table) for name, table in TABLES.items() if name != PROVENANCE.name})


def _table(dataset: Path, table: Table) -> list[list[str]]:
    streams = {column.name: _Stream() for column in table.columns}
    files = table_files(dataset, table.name)
    if len(files) > 1:  # partitioned: in the order that one file would have
        for _, rows in experiment_slices(dataset, table.name):
            for name, stream in streams.items():
                for chunk in rows[name].chunks:
                    stream.add(chunk)
        return _digests(table, streams)
    with pq.ParquetFile(files[0]) as file:
        for index in range(file.num_row_groups):
            for name, stream in streams.items():
                for chunk in file.read_row_group(index, columns=[name]).column(0).chunks:
                    stream.add(chunk)
    return _digests(table, streams)


def _digests(table: Table, streams: Mapping[str, "_Stream"]) -> list[list[str]]:
    return [[column.name, type_name(column.type), streams[column.name].hexdigest()] for column in table.columns]


class _Stream:
    """Digests a column piece by piece; which are null, how long they are and the values have digests of their own."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}

    def add(self, array: pa.Array, path: str = "") -> None:
        """Take the next piece."""
        if not len(array):
            return
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        self._update(f"{path}null", array.is_null())
        known = array.drop_null()
        if pa.types.is_map(array.type):
            self.add(
                pa.array([canonical_json(sorted(entry)).decode() for entry in known.to_pylist()], pa.string()),
                f"{path}map.",
            )
        elif pa.types.is_list(array.type):
            self._update(f"{path}length", pc.list_value_length(known))
            self.add(known.flatten(), f"{path}element.")
        elif pa.types.is_string(array.type):
            self._update(f"{path}length", pc.binary_length(known))
            self._update(f"{path}value", pa.array(np.frombuffer("".join(known.to_pylist()).encode(), np.uint8)))
        else:
            self._update(f"{path}value", known)

    def _update(self, part: str, values: pa.Array) -> None:
        fixed_width = np.ascontiguousarray(values.to_numpy(zero_copy_only=False))
        self.parts.setdefault(part, hashlib.sha256()).update(fixed_width.view(np.uint8))

    def hexdigest(self) -> str:
        """Return the digest of all pieces."""
        return sha256_of({part: digest.hexdigest() for part, digest in self.parts.items()})
