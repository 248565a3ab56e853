"""What an experiment works with: the open session, the engines on its lanes, and the thresholds in force."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cotenant.models.errors import WorkError
from cotenant.profiler.quality.thresholds import Quality
from cotenant.runners.protocol import Engine, Loaded, Session

KEPT_WEIGHT_BYTES = 2 << 30  # a lane keeps engines loaded up to this much; loading again costs far more than memory
ESTIMATE_EXECUTIONS = (3, 8)  # at least and, within ESTIMATE_NS, at most; they leave the lane warm besides
ESTIMATE_NS = 200_000_000


@dataclass(frozen=True)
class Tenant:
    """A tenant placed on a lane with its engine loaded there."""

    name: str
    lane: int
    engine: Engine
    loaded: Loaded
    span_ns: int  # rough solo span, for block lengths and offsets only; never a result


class Bench:
    """Engines are loaded when first needed and kept while they fit."""

    def __init__(self, session: Session, quality: Quality) -> None:
        self.session = session
        self.quality = quality
        self._loaded: list[OrderedDict[str, tuple[Loaded, int, int]]] = [
            OrderedDict() for _ in range(session.lane_count)
        ]

    def place(self, engines: Sequence[Engine], lanes: Sequence[int] | None = None) -> list[Tenant]:
        """Load one tenant per engine, on lanes 0, 1, ... if not told, and name them a, b, c ..."""
        chosen = range(len(engines)) if lanes is None else lanes
        wanted = {engine.engine_id for engine in engines}
        placed = []
        for index, (engine, lane) in enumerate(zip(engines, chosen, strict=True)):
            loaded, span_ns = self.load(lane, engine, wanted)
            placed.append(Tenant(tenant_name(index), lane, engine, loaded, span_ns))
        return placed

    def load(self, lane: int, engine: Engine, wanted: Collection[str] = ()) -> tuple[Loaded, int]:
        """Load an engine on an idle lane (or find it there) and return it with its rough solo span in ns.

        Engines of the ids `wanted` stay, however much they hold together.
        """
        kept = self._loaded[lane]
        if engine.engine_id not in kept:
            self._make_room(lane, engine.weight_bytes or 0, wanted)
            loaded = self.session.load(lane, engine)
            kept[engine.engine_id] = (loaded, self._rough_span_ns(lane, loaded), engine.weight_bytes or 0)
        kept.move_to_end(engine.engine_id)
        loaded, span_ns, _ = kept[engine.engine_id]
        return loaded, span_ns

    def holds(self, lane: int, engine: Engine) -> bool:
        """Tell whether an engine is loaded on a lane."""
        return engine.engine_id in self._loaded[lane]

    def drop(self, lane: int, engine: Engine) -> None:
        """Take an engine off a lane if it is there."""
        entry = self._loaded[lane].pop(engine.engine_id, None)
        if entry is not None:
            self.session.unload(entry[0])

    def _make_room(self, lane: int, needed_bytes: int, wanted: Collection[str]) -> None:
        kept = self._loaded[lane]
        for engine_id in [each for each in kept if each not in wanted]:
            if sum(size for _, _, size in kept.values()) + needed_bytes <= KEPT_WEIGHT_BYTES:
                return
            self.session.unload(kept.pop(engine_id)[0])

    def _rough_span_ns(self, lane: int, loaded: Loaded) -> int:
        spans: list[int] = []
        least, most = ESTIMATE_EXECUTIONS
        while len(spans) < least or (len(spans) < most and sum(spans) < ESTIMATE_NS):
            self.session.submit(lane, loaded)
            done = self.session.wait(self.session.now_ns() + int(self.quality.hang_s * 1e9))
            if not done:
                raise Hang(lane, self.quality.hang_s)
            spans.append(done[0].end_ns - done[0].start_ns)
        return sorted(spans)[len(spans) // 2]


class Hang(WorkError):
    """A lane has not completed its work in the time allowed."""

    def __init__(self, lane: int, hang_s: float) -> None:
        super().__init__(f"lane {lane} completed nothing for {hang_s:g} s; raise quality.hang_s if that can be right")
        self.lane = lane


def tenant_name(index: int) -> str:
    """Return the name of the index-th tenant: a, b, ... z, t26, t27 ..."""
    return chr(ord("a") + index) if index < 26 else f"t{index}"
