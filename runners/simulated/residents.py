"""What is loaded on a session's lanes: one copy of each engine's phases, laid end to end for the event loop."""

from dataclasses import dataclass

import numpy as np

from cotenant.runners.protocol import Loaded
from cotenant.runners.simulated.phases import shortest_gap
from cotenant.runners.simulated.state import PHASE_COLUMNS, Ints


@dataclass
class Resident:
    """An engine on a lane: its rows of the phases from `first` to `end`; a lazy phase before its first execution."""

    loaded: Loaded
    lazy_ns: int
    first: int = 0
    end: int = 0


class Residents:
    """The engines on all lanes of a session, by handle; changed only while every lane is idle."""

    def __init__(self) -> None:
        self.phases = shortest_gap()
        self.by_handle: dict[int, Resident] = {}
        self._contents: dict[str, Ints] = {}
        self._last_handle = 0

    def __contains__(self, engine_id: object) -> bool:
        return engine_id in self._contents

    def add(self, lane: int, engine_id: str, phases: Ints, lazy_ns: int) -> Loaded:
        """Put an engine on a lane; its phases are kept once, however many lanes have it."""
        self._last_handle += 1
        loaded = Loaded(lane, engine_id, self._last_handle)
        self._contents.setdefault(engine_id, phases)
        self.by_handle[loaded.handle] = Resident(loaded, lazy_ns)
        self._lay_out()
        return loaded

    def remove(self, loaded: Loaded) -> None:
        """Take an engine off its lane."""
        del self.by_handle[loaded.handle]
        if all(resident.loaded.engine_id != loaded.engine_id for resident in self.by_handle.values()):
            del self._contents[loaded.engine_id]
        self._lay_out()

    def warm(self, resident: Resident) -> None:
        """Note that an engine's first execution, which begins with its lazy phase, has been queued."""
        resident.lazy_ns = 0
        resident.end = max(resident.end, resident.first + 1)

    def find(self, lane: int, loaded: Loaded) -> Resident:
        """Return what a handle stands for; ValueError if it is not loaded on that lane."""
        resident = self.by_handle.get(loaded.handle)
        if resident is None or loaded.lane != lane or resident.loaded != loaded:
            raise ValueError(f"{loaded} is not loaded on lane {lane}")
        return resident

    def _lay_out(self) -> None:
        places: dict[str, tuple[int, int]] = {}
        rows = [np.zeros((0, PHASE_COLUMNS), np.int64)]
        first = 0
        for engine_id, content in self._contents.items():
            places[engine_id] = (first, first + len(content))
            rows.append(content if len(content) else shortest_gap())
            first += len(rows[-1])
        self.phases = np.concatenate(rows) if first else shortest_gap()
        for resident in self.by_handle.values():
            resident.first, end = places[resident.loaded.engine_id]
            # an engine without phases has a gap of 1 ns, unless a lazy phase makes up its first execution
            resident.end = max(end, resident.first + (0 if resident.lazy_ns else 1))
