"""Errors that people can mend, told in one line: what, where, what to do; bugs are not among them."""

import errno
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from cotenant.models.errors import CotenantError

EXIT_WORK_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE

FULL = {errno.ENOSPC, errno.EDQUOT}
BROKEN = {errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
NOT_OURS = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
RESUMABLE = ("build", "profile", "colocate", "serve", "campaign")


@dataclass(frozen=True)
class Fault:
    """What is told of an error, and the exit code that goes with it."""

    line: str
    exit_code: int


def fault_line(error: Exception) -> Fault | None:
    """Return what to tell of an error, or None if it is a bug whose traceback is wanted."""
    if isinstance(error, CotenantError):
        return Fault(_one_line(str(error)), error.exit_code)
    if isinstance(error, click.ClickException):
        return Fault(_usage_line(error), error.exit_code)
    if isinstance(error, OSError):
        return _system_fault(error)
    if isinstance(error, MemoryError):
        return Fault("out of memory; choose a smaller model or batch size, or fewer lanes", EXIT_WORK_FAILED)
    return None


def go_on_line(arguments: Sequence[str]) -> str:
    """Return what a stopped command says last."""
    again = shlex.join(["cotenant", *arguments])
    if arguments and arguments[0] in RESUMABLE:
        return f"Stopped; what is finished is kept. The same command goes on: {again}"
    return f"Stopped: {again}"


@contextmanager
def writing_below(*folders: Path) -> Iterator[None]:
    """Name the folder in system errors that name none (a failed write knows only its file handle)."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in FULL | NOT_OURS:
            error.filename = str(min(folders, key=_free_bytes))
        raise


def _system_fault(error: OSError) -> Fault | None:
    what = f"{error.filename}: {error.strerror}" if error.filename is not None else str(error.strerror)
    if error.errno in FULL:
        remedy = "free some space or choose another folder, then run the same command again; what is finished is kept"
        return Fault(_one_line(f"{what}; {remedy}"), EXIT_WORK_FAILED)
    if error.errno in BROKEN:
        return Fault(_one_line(f"{what}; the machine refused it, see its system log"), EXIT_WORK_FAILED)
    if error.errno in NOT_OURS and error.filename is not None:
        remedy = "choose a path that you may read and write (--out, --cache)"
        return Fault(_one_line(f"{what}; {remedy}"), EXIT_BAD_INPUT)
    return None


def _usage_line(error: click.ClickException) -> str:
    message = _one_line(error.format_message()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see {context.command_path} --help" if context is not None else message


def _free_bytes(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def _one_line(text: str) -> str:
    return " ".join(text.split())
