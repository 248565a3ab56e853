"""How long work tells of itself; the command line shows it, libraries may stay quiet."""

from typing import Protocol

from cotenant.runners.build_watch import BuildStep


class Progress(Protocol):
    """What a campaign calls while it works."""

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` steps."""

    def begin(self, label: str) -> None:
        """Tell that the step `label` of the current stage has begun; several may run at once."""

    def step(self, label: str, step: BuildStep) -> None:
        """Tell how far a step that has begun is by itself."""

    def advance(self, label: str, outcome: str = "") -> None:
        """Tell that the step `label` of the current stage is done; `outcome` says how, if not well."""

    def note(self, text: str) -> None:
        """Tell one line that a person should read."""


class QuietProgress:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int) -> None:
        """Say nothing."""

    def begin(self, label: str) -> None:
        """Say nothing."""

    def step(self, label: str, step: BuildStep) -> None:
        """Say nothing."""

    def advance(self, label: str, outcome: str = "") -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""
