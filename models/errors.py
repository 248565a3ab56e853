"""The one root of cotenant's errors; a command prints its message and exits with its code."""


class CotenantError(Exception):
    """Something went wrong that is no bug of ours: one line that says what, where and what to do."""

    exit_code = 1


class UserError(CotenantError):
    """The user's own input is wrong; exit code 2."""

    exit_code = 2


class WorkError(CotenantError):
    """The work itself failed (a lane died, a disk filled up); exit code 1."""
