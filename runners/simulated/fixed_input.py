"""A fixed input, run to its end in one call of the loop: what oracles, other simulators and benchmarks compare with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cotenant.runners.protocol import Lane
from cotenant.runners.simulated.device_state import quotas
from cotenant.runners.simulated.session import SimulatedSession
from cotenant.runners.simulated.state import ONE, Ints

if TYPE_CHECKING:
    from cotenant.runners.simulated.device_file import DeviceFile
    from cotenant.runners.simulated.kernel_list import KernelList


@dataclass(frozen=True)
class Submission:
    """One execution submitted at time 0; `factor` in units of ONE."""

    lane: int
    list_index: int
    delay_ns: int = 0
    factor: int = ONE


def submitted(
    file: "DeviceFile",
    lists: Sequence["KernelList"],
    submissions: Sequence[Submission],
    lanes: Sequence[Lane],
    isolation: str = "streams",
    seed: int = 0,
) -> SimulatedSession:
    """Return a session that has all of this queued, with given factors; only the turn's phase depends on `seed`."""
    given = np.array([submission.factor for submission in submissions], np.int64)
    rows = max((sum(each.lane == lane for each in submissions) for lane in range(len(lanes))), default=1)
    session = SimulatedSession(
        file, isolation, quotas(lanes, isolation), seed, lambda first, count: given[first : first + count], max(rows, 1)
    )
    keys = dict.fromkeys((submission.lane, submission.list_index) for submission in submissions)
    loaded = {(lane, index): session.load_kernels(lane, str(index), lists[index]) for lane, index in keys}
    for submission in submissions:
        session.submit(submission.lane, loaded[submission.lane, submission.list_index], submission.delay_ns)
    return session


def run_lists(
    file: "DeviceFile",
    lists: Sequence["KernelList"],
    submissions: Sequence[Submission],
    lanes: Sequence[Lane],
    isolation: str = "streams",
    seed: int = 0,
) -> Ints:
    """Return rows (number of the submission, lane, start_ns, end_ns) of what ended, by end and lane."""
    return submitted(file, lists, submissions, lanes, isolation, seed).drain()
