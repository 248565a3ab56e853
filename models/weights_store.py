"""Weights files in the cache: each written once, verified whenever it is asked for, made anew if it is damaged.

<cache>/weights/<key>/weights.bin    the bytes, that graphs beside it refer to by this bare name
<cache>/weights/<key>/weights.json   their size and SHA-256, written after them
"""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from cotenant.models.atomic import atomic_path, remove_leftovers, write_atomic
from cotenant.models.digest import sha256_of_file

WEIGHTS = "weights.bin"
NOTE = "weights.json"

_verified: dict[tuple[int, int, int, int], str] = {}  # (device, inode, bytes, mtime_ns) -> sha256, once a process


@dataclass(frozen=True)
class StoredWeights:
    """A weights file that is whole."""

    path: Path
    sha256: str


def stored_weights(cache: Path, key: str, write: Callable[[BinaryIO], None]) -> StoredWeights:
    """Return the weights file of that key; `write` makes its bytes if it is not there or not what its note says."""
    folder = cache / "weights" / key
    found = _sound(folder)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        return _sound(folder) or _written(folder, write)


def _sound(folder: Path) -> StoredWeights | None:
    path = folder / WEIGHTS
    try:
        note = json.loads((folder / NOTE).read_bytes())
        state = path.stat()
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(note, dict) or note.get("bytes") != state.st_size:
        return None
    identity = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    if identity not in _verified:
        _verified[identity] = sha256_of_file(path)
    return StoredWeights(path, _verified[identity]) if note.get("sha256") == _verified[identity] else None


def _written(folder: Path, write: Callable[[BinaryIO], None]) -> StoredWeights:
    remove_leftovers(folder)  # of a process that was killed: we hold the lock
    path = folder / WEIGHTS
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        hashing = _Hashing(stream)
        write(cast(BinaryIO, hashing))
    sha256 = hashing.digest.hexdigest()
    state = path.stat()
    _verified[(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)] = sha256
    write_atomic(folder / NOTE, json.dumps({"bytes": state.st_size, "sha256": sha256}).encode())
    return StoredWeights(path, sha256)


class _Hashing:
    """Writes through to a stream and digests on the way."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.digest.update(data)
        return self.stream.write(data)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it vanishes with the process that holds it."""
    with (folder / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
