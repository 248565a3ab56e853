"""One small archive of everything worth keeping; the largest files are left out if it would not be small."""

import gzip
import tarfile
from collections.abc import Sequence
from pathlib import Path

ARCHIVE = "gpu_check.tar.gz"
RESULT = "gpu_check.json"
KEPT = ("gpu_check.jsonl", "logs", "tables", "recorded")
LIMIT_BYTES = 4 << 20
RESULT_ROOM_BYTES = 512 << 10  # for the result itself, which is written once it is known what is left out


def choose(folder: Path, limit_bytes: int = LIMIT_BYTES) -> tuple[list[Path], list[Path]]:
    """Return which files below `KEPT` fit into the archive, and which are left out, largest first."""
    files = sorted(path for name in KEPT for path in _files(folder / name))
    sizes = {path: len(gzip.compress(path.read_bytes())) for path in files}
    left_out: list[Path] = []
    room_bytes = limit_bytes - RESULT_ROOM_BYTES
    for path in sorted(files, key=lambda each: (-sizes[each], each)):
        if sum(sizes.values()) <= room_bytes:
            break
        left_out.append(path)
        del sizes[path]
    return [path for path in files if path in sizes], left_out


def write(folder: Path, files: Sequence[Path]) -> Path:
    """Write the archive of the result and these files and return its path."""
    path = folder / ARCHIVE
    with tarfile.open(path, "w:gz") as archive:
        for each in (folder / RESULT, *files):
            archive.add(each, f"gpu_check/{each.relative_to(folder)}", recursive=False, filter=_anonymous)
    return path


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [each for each in path.rglob("*") if each.is_file() and not each.is_symlink()]
    return [path] if path.is_file() else []


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
