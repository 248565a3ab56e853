"""The engine cache: `<cache>/engines/<engine_id>/`, whole or absent, verified whenever it is used.

An entry holds the files that a runner's builder wrote and meta.json: the engine's fields, the builder's own facts, and
each file's size and SHA-256. Entries are written in a temporary folder, fsynced and renamed, under a lock of their id,
so that two processes building one engine do not meet. A truncated, edited or foreign entry is rebuilt, and told.
"""

import dataclasses
import errno
import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cotenant.models.atomic import TEMPORARY_PREFIX, sync_file, sync_folder
from cotenant.models.digest import sha256_of, sha256_of_file
from cotenant.models.errors import CotenantError, UserError, WorkError
from cotenant.runners.protocol import Engine

LOG = logging.getLogger("cotenant.runners")
META = "meta.json"
ENGINE_FIELDS = tuple(field.name for field in dataclasses.fields(Engine) if field.name != "folder")
FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

_known_digests: dict[
    tuple[int, int, int, int], str
] = {}  # (device, inode, bytes, mtime_ns) -> sha256, once per process


@dataclasses.dataclass(frozen=True)
class Built:
    """What a builder has written into the folder it was given.

    Attributes:
        fields: Every field of Engine but `folder`.
        facts: What else meta.json keeps: optimisation level, versions, input dtypes.
    """

    fields: dict[str, Any]
    facts: dict[str, Any]


class EntryDamaged(WorkError):
    """A cache entry is not what its meta.json says; `build` makes it anew."""


def default_cache() -> Path:
    """Return the user's cache folder of cotenant ($XDG_CACHE_HOME/cotenant, else ~/.cache/cotenant).

    Raises:
        UserError: The user has no home folder (no HOME, and a user id that no account has).
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "cotenant"
    except RuntimeError as error:
        raise UserError(
            "no home folder is known for the engine cache; choose a folder with --cache, or set XDG_CACHE_HOME"
        ) from error


def obtain(cache: Path, engine_id: str, build: Callable[[Path], Built]) -> Engine:
    """Return the engine of that id from the cache, or build it there; `build` writes into the folder it is given."""
    entry = cache / "engines" / engine_id
    with _clear_errors(cache):
        engine = _usable(entry)
        if engine is not None:
            return engine
        with _locked(cache, engine_id):
            return _usable(entry, tell=True) or _build(entry, build)


def own_version() -> str:
    """Return this package's version; `uninstalled` where it runs from a checkout's link tree."""
    try:
        return version("cotenant")
    except PackageNotFoundError:
        return "uninstalled"


def read_meta(entry: Path) -> dict[str, Any]:
    """Return a cache entry's meta.json once it and every file it lists are verified; EntryDamaged otherwise."""
    try:
        meta = json.loads((entry / META).read_bytes())
    except (OSError, ValueError) as error:
        raise EntryDamaged(f"{entry / META} cannot be read ({error})") from error
    if not isinstance(meta, dict) or meta.pop("meta_sha256", None) != sha256_of(meta):
        raise EntryDamaged(f"{entry / META} was cut short or edited")
    if set(meta["engine"]) != set(ENGINE_FIELDS) or meta["engine"]["engine_id"] != entry.name:
        raise EntryDamaged(f"{entry / META} describes another engine")
    if meta["versions"].get("cotenant") != own_version():
        raise EntryDamaged(f"{entry} was written by cotenant {meta['versions'].get('cotenant')}")
    for name, expected in meta["files"].items():
        _verify_file(entry / name, expected)
    return meta


def _verify_file(path: Path, expected: dict[str, Any]) -> None:
    try:
        byte_count = path.stat().st_size
    except OSError as error:
        raise EntryDamaged(f"{path} is missing") from error
    if byte_count != expected["bytes"]:
        raise EntryDamaged(f"{path} has {byte_count} bytes instead of {expected['bytes']}")
    if file_digest(path) != expected["sha256"]:
        raise EntryDamaged(f"{path} has another content than when it was built")


def file_digest(path: Path) -> str:
    """Return a file's SHA-256, read once per process as long as inode, size and modification time stay the same."""
    state = path.stat()
    key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    if key not in _known_digests:
        _known_digests[key] = sha256_of_file(path)
    return _known_digests[key]


def place(source: Path, folder: Path) -> Path:
    """Hard-link a shared file into a folder under its own name; a copy where the file system cannot link.

    No symbolic link in between: ONNX Runtime (seen with 1.32) refuses external data whose resolved path lies outside
    the model's folder, but takes a hard link.
    """
    target = folder / source.name
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in FULL_ERRNOS:
            raise
        shutil.copyfile(source, target)
    return target


def _usable(entry: Path, tell: bool = False) -> Engine | None:
    if not entry.is_dir():
        return None
    try:
        meta = read_meta(entry)
    except EntryDamaged as damage:
        if tell:
            LOG.warning("engine cache: %s; building engine %s anew", damage, entry.name)
        return None
    return Engine(**meta["engine"], folder=entry)


def _build(entry: Path, build: Callable[[Path], Built]) -> Engine:
    for leftover in entry.parent.glob(
        f"{TEMPORARY_PREFIX}{entry.name}-*"
    ):  # of a build that was killed: we hold the lock
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}{entry.name}-", dir=entry.parent))
    try:
        began_ns = time.monotonic_ns()
        built = build(temporary)
        _write_meta(temporary, built, time.monotonic_ns() - began_ns)
        temporary.chmod(0o755)
        _replace_folder(temporary, entry)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Engine(**built.fields, folder=entry)


def _write_meta(folder: Path, built: Built, build_ns: int) -> None:
    if set(built.fields) != set(ENGINE_FIELDS):
        raise ValueError(f"a builder must fill every field of Engine: {set(built.fields) ^ set(ENGINE_FIELDS)}")
    files = sorted(path for path in folder.iterdir() if path.is_file())
    meta = {
        **built.facts,
        "engine": built.fields,
        "versions": {**built.facts.get("versions", {}), "cotenant": own_version()},
        "build_ns": build_ns,
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": file_digest(path)} for path in files},
    }
    meta["meta_sha256"] = sha256_of(meta)
    (folder / META).write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n")
    for path in (*files, folder / META):
        sync_file(path)
    sync_folder(folder)


def _replace_folder(temporary: Path, entry: Path) -> None:
    """Rename a finished folder into place; what stood there (a damaged entry) goes away afterwards."""
    stale = Path(f"{temporary}-stale")
    if os.path.lexists(entry):
        entry.rename(stale)
    temporary.rename(entry)
    sync_folder(entry.parent)
    if stale.is_dir() and not stale.is_symlink():
        shutil.rmtree(stale)
    else:
        stale.unlink(missing_ok=True)


@contextmanager
def _locked(cache: Path, engine_id: str) -> Iterator[None]:
    """Hold the lock of one engine id; it vanishes with the process that holds it."""
    (cache / "engines").mkdir(parents=True, exist_ok=True)
    (cache / "locks").mkdir(exist_ok=True)
    with (cache / "locks" / f"{engine_id}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def _clear_errors(cache: Path) -> Iterator[None]:
    try:
        yield
    except CotenantError:
        raise
    except OSError as error:
        what = f"cannot use the engine cache {cache}: {error.strerror or error} ({error.filename or 'no file named'})"
        if error.errno in FULL_ERRNOS:
            raise WorkError(f"{what}; free space there or choose another folder with --cache") from error
        raise UserError(f"{what}; choose a folder you can write with --cache") from error
