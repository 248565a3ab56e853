"""The folder where engines and weights are kept: may it be written, and is there room."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cotenant.models.errors import UserError
from cotenant.profiler.doctor.check import Check
from cotenant.runners.engine_cache import default_cache

ROOM_MIN_BYTES = 4 << 30  # three times the largest weights of the zoo (roberta_large in fp32)
GIB = 1 << 30


def checks(cache: Path | None = None) -> Iterator[Check]:
    """Tell whether the cache folder can be written, and how much room its disk has; nothing is left behind."""
    try:
        folder = cache or default_cache()
    except UserError as error:
        what, _, remedy = str(error).rpartition("; ")
        yield Check("storage.cache", "missing", what, remedy)
        return
    standing = _standing(folder)
    yield _writable(folder, standing)
    yield room(folder, shutil.disk_usage(standing).free)


def room(folder: Path, free_bytes: int) -> Check:
    """Tell the room on the cache's disk."""
    told = f"{free_bytes / GIB:.1f} GiB free at {folder}"
    if free_bytes >= ROOM_MIN_BYTES:
        return Check("storage.room", "ok", told)
    return Check("storage.room", "limited", told, "free some space, or choose a folder on another disk with --cache")


def _writable(folder: Path, standing: Path) -> Check:
    """Try it: modes say nothing about read-only mounts and network disks."""
    try:
        with tempfile.TemporaryFile(dir=standing) as stream:
            stream.write(b"\0")
    except OSError as error:
        told = f"{standing} cannot be written ({os.strerror(error.errno) if error.errno else error})"
        return Check("storage.cache", "missing", told, "choose a folder you can write with --cache or XDG_CACHE_HOME")
    made = "" if folder == standing else " (made when it is first used)"
    return Check("storage.cache", "ok", f"{folder} can be written{made}")


def _standing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
