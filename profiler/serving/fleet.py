"""Every engine of a deployment on every lane that serves, so that any batch may take any lane."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cotenant.runners.protocol import Engine, Loaded, Session


@contextmanager
def loaded_everywhere(session: Session, engines: Sequence[Engine], lanes: int) -> Iterator[list[list[Loaded]]]:
    """Load all engines on lanes 0 to lanes - 1 and give them by lane and engine; unload them when the run went well.

    They are not left to the bench, which would take engines off a lane that holds many: all are needed at once.
    """
    loaded = [[session.load(lane, engine) for engine in engines] for lane in range(lanes)]
    yield loaded
    for each in (each for on_lane in loaded for each in on_lane):
        session.unload(each)
