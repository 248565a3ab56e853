"""How long work tells of itself; the command line shows it, libraries may stay quiet."""

from typing import Protocol


class Progress(Protocol):
    """What a campaign calls while it works."""

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` steps."""

    def advance(self, label: str) -> None:
        """Tell that the step `label` of the current stage is done."""

    def note(self, text: str) -> None:
        """Tell one line that a person should read."""


class QuietProgress:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int) -> None:
        """Say nothing."""

    def advance(self, label: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""
