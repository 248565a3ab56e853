"""NVML answers that change from sample to sample, written by hand after the binding: nothing was recorded on a GPU."""

from typing import Any

from nvml_by_hand import NvmlByHand


class NvmlSequence(NvmlByHand):
    """At step i the answers of `steps[i]` hold beside the usual ones; an answer that is an exception is raised.

    A step ends with each `next()`; the last one stays.
    """

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        super().__init__()
        self._usual = dict(self._answers)
        self._steps = steps
        self.step = -1
        self.asked_for: list[str] = []
        self.next()

    def next(self) -> None:
        self.step = min(self.step + 1, len(self._steps) - 1)
        told = self._steps[self.step]
        self._raising = {name: answer for name, answer in told.items() if isinstance(answer, Exception)}
        self._answers = self._usual | told

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        self.asked_for.append(uuid)
        return "handle"
