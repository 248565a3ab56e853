"""An engine's files in the campaign folder: links to those of the cache, so that the folder holds what was measured.

A link costs no space, and batch sizes of one model, which share their weights in the cache, share them here too. Where
no link is possible (a cache on another disk), small files are copied and large ones are left out, with the reason.
"""

import errno
import os
from pathlib import Path
from typing import Any

from cotenant.models.atomic import TEMPORARY_PREFIX, atomic_path, sync_folder
from cotenant.runners.engine_cache import FULL_ERRNOS, file_digest

COPY_BYTES_MAX = 16 << 20  # of one file; plans and weights of many engines would fill a disk unasked


def place_files(entry: Path, folder: Path, files: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Put the files of a cache entry into an engine's folder and return those left out, each with the reason.

    Args:
        files: Bytes and sha256 of each by name, as the entry's meta.json lists them.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    left_out = {}
    for name, facts in sorted(files.items()):
        reason = _place(entry / name, folder / name, facts)
        if reason is not None:
            left_out[name] = reason
    sync_folder(folder)
    return left_out


def _place(source: Path, target: Path, facts: dict[str, Any]) -> str | None:
    if _is_there(source, target, facts):
        return None
    try:
        _link(source, target)
    except OSError as error:
        if error.errno in FULL_ERRNOS:
            raise
        if facts["bytes"] > COPY_BYTES_MAX:
            target.unlink(missing_ok=True)
            return f"{facts['bytes']} bytes that stay in the cache: {_why(error)}, and copies end at {COPY_BYTES_MAX}"
        with atomic_path(target) as temporary:
            temporary.write_bytes(source.read_bytes())
    return None


def _is_there(source: Path, target: Path, facts: dict[str, Any]) -> bool:
    """Whether the target is that file already: the same one, or a copy of it (of a folder that was copied)."""
    try:
        if target.is_symlink() or target.stat().st_size != facts["bytes"]:
            return False
        return target.samefile(source) or file_digest(target) == facts["sha256"]
    except FileNotFoundError:
        return False


def _link(source: Path, target: Path) -> None:
    temporary = target.with_name(TEMPORARY_PREFIX + target.name)
    temporary.unlink(missing_ok=True)
    os.link(source, temporary)
    temporary.replace(target)


def _why(error: OSError) -> str:
    return (
        "they lie on another disk" if error.errno == errno.EXDEV else f"no link to them is possible ({error.strerror})"
    )
