"""Which errors become one line, with which exit code, and which keep their traceback."""

import errno
import os
from pathlib import Path

import pytest

from cotenant.models.errors import CotenantError, UserError, WorkError
from cotenant.profiler.cli.faults import fault_line, go_on_line, writing_below


def system_error(code: int, path: str | None = None) -> OSError:
    return OSError(code, os.strerror(code), path)


@pytest.mark.parametrize(("error", "code"), [(UserError("a\nb"), 2), (WorkError("a b"), 1), (CotenantError("a b"), 1)])
def test_our_errors_are_one_line_with_their_own_code(error: CotenantError, code: int) -> None:
    fault = fault_line(error)
    assert fault is not None
    assert (fault.line, fault.exit_code) == ("a b", code)


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (errno.ENOSPC, 1, "free some space"),
        (errno.EDQUOT, 1, "free some space"),
        (errno.EIO, 1, "system log"),
        (errno.EROFS, 2, "--out"),
        (errno.EACCES, 2, "--out"),
        (errno.EPERM, 2, "--out"),
        (errno.ENOTDIR, 2, "--out"),
    ],
)
def test_system_errors_name_the_path_and_what_to_do(number: int, code: int, words: str) -> None:
    fault = fault_line(system_error(number, "/data/out"))
    assert fault is not None
    assert fault.exit_code == code
    assert "/data/out" in fault.line
    assert words in fault.line
    assert os.strerror(number) in fault.line


@pytest.mark.parametrize(
    "bug",
    [ValueError("x"), KeyError("x"), FileNotFoundError(errno.ENOENT, "gone", "x"), PermissionError(errno.EPERM, "")],
)
def test_a_bug_is_not_explained_away(bug: Exception) -> None:
    assert fault_line(bug) is None


def test_a_write_that_fails_without_a_path_gets_the_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught, writing_below(tmp_path / "not" / "yet"):
        raise system_error(errno.ENOSPC)
    assert caught.value.filename == str(tmp_path / "not" / "yet")


def test_a_known_path_is_kept(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught, writing_below(tmp_path):
        raise system_error(errno.ENOSPC, "/elsewhere")
    assert caught.value.filename == "/elsewhere"


def test_stopping_says_how_to_go_on() -> None:
    told = go_on_line(["campaign", "run", "my spec.yaml", "--out", "d"])
    assert told.endswith("cotenant campaign run 'my spec.yaml' --out d")
    assert "goes on" in told
    assert "goes on" not in go_on_line(["dataset", "check", "d"])
