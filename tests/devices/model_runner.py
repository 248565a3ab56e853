"""A runner whose lanes are those of `runners.cuda` on the model GPU: campaigns run on them as on a GPU."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lane_rig import model_session
from model_parts import Traits

from cotenant.models.digest import digest_id, sha256_of
from cotenant.models.model import Precision
from cotenant.runners.engine_cache import Built, obtain
from cotenant.runners.probe_names import is_probe
from cotenant.runners.protocol import Counters, Device, Engine, Lane, Session

MS = 1_000_000
HALF_NS, PROBE_NS = 100 * MS, 5 * MS
DEVICE = Device("GPU-model", "model GPU", "gpu", "model", sm_count=16, l2_bytes=1 << 25, dram_bytes=1 << 34)


@dataclass(frozen=True)
class ModelRunner:
    """See `cotenant.runners.protocol.Runner`; an execution of a network takes `spans_ns` of its name, times its batch.

    Attributes:
        pause_ns: How long the host sleeps at least when it waits, in virtual time.
    """

    spans_ns: dict[str, int]
    traits: Traits
    pause_ns: int = 20_000
    name: str = "model-gpu"
    needs_gpu: bool = False
    session_per_experiment: bool = False

    def version(self) -> str:
        return "1"

    def devices(self) -> list[Device]:
        return [DEVICE]

    def device(self, name: str | None) -> Device:
        return DEVICE

    def target(self, device: Device) -> str:
        return "model"

    def max_lanes(self, device: Device) -> int:
        return 16

    def isolations(self) -> tuple[str, ...]:
        return ("streams", "green-contexts")

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int = 0) -> str:
        return digest_id([model, batch_size, precision, target, build_index])

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int = 0
    ) -> Engine:
        engine_id = self.engine_id(model, batch_size, precision, target, build_index)
        work_ns = self._work_ns(model, batch_size)

        def build(folder: Path) -> Built:
            facts = {"work_ns": work_ns, "kernels": 2, "manner": "plain", "copied_bytes": 0}
            fields = {
                "engine_id": engine_id,
                "model": model,
                "family": "probe" if is_probe(model) else "model",
                "batch_size": batch_size,
                "input_shapes": {} if is_probe(model) else {"x": [batch_size, 8]},
                "precision": precision,
                "runner": self.name,
                "engine_kind": "timed",
                "build_target": target,
                "build_index": build_index,
                "source_sha256": sha256_of(model),
                "engine_sha256": sha256_of([model, batch_size]),
                "engine_bytes": 1000,
                "parameter_count": 10,
                "mac_count": work_ns // 2,
                "flop_count": work_ns,
                "read_bytes": work_ns,
                "write_bytes": work_ns // 4,
                "weight_bytes": 40,
            }
            return Built(fields, facts)

        return obtain(cache, engine_id, build)

    def counters(self, engine: Engine) -> Counters | None:
        return None

    @contextmanager
    def open(
        self, device: Device, lanes: Sequence[Lane], isolation: str | None = None, seed: int = 0
    ) -> Iterator[Session]:
        shares = [lane.share_pct for lane in lanes]
        session, _ = model_session(len(lanes), self.traits, isolation or "streams", shares, self.pause_ns)
        try:
            yield session
        finally:
            session.close()

    def _work_ns(self, model: str, batch_size: int) -> int:
        if is_probe(model):
            return HALF_NS if model.startswith("probe:half") else PROBE_NS
        return self.spans_ns[model] * batch_size
