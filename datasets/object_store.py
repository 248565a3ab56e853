"""Folders here and in object stores behind one interface: pyarrow's file systems, and fsspec's where it has none."""

from pathlib import Path

from pyarrow import ArrowInvalid, ArrowNotImplementedError
from pyarrow.fs import FileSelector, FileSystem, FileType, FSSpecHandler, LocalFileSystem, PyFileSystem

from cotenant.models.errors import UserError, WorkError

OWN_SCHEMES = (
    "file",
    "s3",
    "gs",
    "gcs",
    "abfs",
    "abfss",
    "hdfs",
    "viewfs",
)  # what pyarrow.fs.FileSystem.from_uri takes


def place_of(destination: str) -> tuple[FileSystem, str]:
    """Return the file system and the path in it that a folder's path or URL names.

    `s3://bucket/path` and `gs://...` go through pyarrow, whose credentials, region and endpoint come from the
    environment or the URL (`?endpoint_override=host:port&scheme=http`); other schemes go through fsspec.

    Raises:
        UserError: The URL is of no scheme that is installed here, or it is malformed.
    """
    if "://" not in destination:
        return LocalFileSystem(), str(Path(destination).absolute())
    if destination.partition("://")[0] not in OWN_SCHEMES:
        return _by_fsspec(destination)
    try:
        system, path = FileSystem.from_uri(destination)
        return system, str(path)
    except (ArrowInvalid, ArrowNotImplementedError, OSError) as error:
        cause = str(error).replace(destination, _shown(destination))
        raise UserError(f"{_shown(destination)} cannot be used: {cause}; name a folder or s3://bucket/path") from error


def is_store(destination: str) -> bool:
    """Tell whether a destination is a URL, not a folder here."""
    return "://" in destination


def _by_fsspec(destination: str) -> tuple[FileSystem, str]:
    scheme = destination.partition("://")[0]
    try:
        from fsspec.core import url_to_fs

        found, path = url_to_fs(destination)
    except (ImportError, ValueError) as error:
        raise UserError(
            f"{_shown(destination)}: nothing here knows {scheme}://; pip install fsspec and its package for {scheme}"
        ) from error
    return PyFileSystem(FSSpecHandler(found)), path


def files_below(system: FileSystem, path: str) -> list[str]:
    """Return the files below a folder, relative to it, sorted; [] if there is no such folder.

    Raises:
        WorkError: The store cannot be reached, or refuses.
    """
    try:
        found = system.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
    except OSError as error:
        raise WorkError(f"{path} cannot be listed: {error}") from error
    base = path.rstrip("/") + "/"
    return sorted(info.path.removeprefix(base) for info in found if info.type == FileType.File)


def _shown(destination: str) -> str:
    """Return a URL without what may hold secrets: user, password and query."""
    scheme, _, rest = destination.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
