"""How late the first executions behind a timed gate were: a gate that came too late to hold its lanes shows here."""


class GateLags:
    """Lags of executions that a timed gate alone held, launch gaps of their stream included."""

    def __init__(self) -> None:
        self.worst_ns: int | None = None  # None = no such execution yet
        self._awaited: dict[int, int] = {}  # ticket -> instant on the global timer

    def expect(self, ticket: int, begin_timer_ns: int) -> None:
        """Say when an execution begins (copies come first) if its gate is in time."""
        self._awaited[ticket] = begin_timer_ns

    def note(self, ticket: int, began_timer_ns: int) -> None:
        """Say when an execution began; one that no gate held alone is passed over."""
        if ticket in self._awaited:
            lag_ns = began_timer_ns - self._awaited.pop(ticket)
            self.worst_ns = lag_ns if self.worst_ns is None else max(self.worst_ns, lag_ns)
