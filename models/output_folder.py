"""Folders that we write to: made, or refused in one line that names them."""

from pathlib import Path

from cotenant.models.errors import UserError


def made_folder(folder: Path) -> Path:
    """Make a folder and those above it; return it.

    Raises:
        UserError: A file stands in its place, or the file system has no such place (`/proc`).
        OSError: The system refused for another reason (a full or read-only disk).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UserError(f"{folder} is a file where a folder has to be; move it away or choose another --out") from error
    except FileNotFoundError as error:
        raise UserError(f"{folder} cannot be made: nothing can be written there; choose another --out") from error
    return folder
