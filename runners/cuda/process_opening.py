"""Starts the processes of a session's lanes, and ends them whatever happens."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from cotenant.runners.cuda.lane_handle import LaneHandle
from cotenant.runners.cuda.lane_process import DRIVER, Settings
from cotenant.runners.cuda.process_session import ProcessSession
from cotenant.runners.cuda.wire import READY
from cotenant.runners.protocol import Lane

START_TIMEOUT_S = 120.0


@contextmanager
def opened(
    device_index: int,
    lanes: Sequence[Lane],
    loader: str,
    environment: Sequence[Mapping[str, str]],
    seed: int,
    gpu: str = DRIVER,
) -> Iterator[ProcessSession]:
    """Open a session; see `cotenant.runners.cuda.session.open_processes`. `gpu` names what opens the device."""
    handles: list[LaneHandle] = []
    try:
        for index, (lane, variables) in enumerate(zip(lanes, environment, strict=True)):
            settings = Settings(device_index, lane.priority, loader, seed, gpu)
            handles.append(LaneHandle(index, asdict(settings), variables))
        session = ProcessSession(handles, [each.receive_until((READY,), START_TIMEOUT_S) for each in handles])
    except BaseException:
        for handle in handles:
            handle.close(at_once=True)
        raise
    try:
        yield session
    except BaseException:
        session.close(at_once=True)
        raise
    session.close(at_once=False)
