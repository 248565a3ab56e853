"""Probes as engines of the CUDA runners: our kernels' source, and what they shall do.

How much work a probe does depends on the sizes of the device (`probe_plan`). Where the build target is that of a GPU of
this machine, its sizes stand in the engine and in its id. For a target without its device the lane asks the driver when
it loads the engine, and the counts of work are unknown.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cotenant.models.digest import digest_id, sha256_of
from cotenant.models.errors import UserError, WorkError
from cotenant.runners.cuda.device_source import SOURCE
from cotenant.runners.cuda.executable import Executable, LoadRequest
from cotenant.runners.cuda.probe_plan import REVISION, ProbePlan, plan_probe
from cotenant.runners.engine_cache import Built, file_digest, obtain
from cotenant.runners.probe_names import ProbeName, parse_probe_name
from cotenant.runners.protocol import Engine

ENGINE_KIND = "probe"
KERNELS = "probe.cu"
FLAGS = {"revision": 1}  # counts changes of what a build makes of the same probe


@dataclass(frozen=True)
class ProbeSizes:
    """What a plan needs to know of a device; `dram_bytes_per_s` None = the driver does not tell."""

    sm_count: int
    l2_bytes: int
    dram_bytes_per_s: float | None


@dataclass(frozen=True)
class ProbeRequest:
    """A probe asked for: by which runner and version, for which target, of which sizes (None = known at loading)."""

    runner: str
    runner_version: str
    target: str
    build_index: int
    sizes: ProbeSizes | None

    def engine_id(self, model: str) -> str:
        """Return the id that `build` gives; UserError if the name is no probe's or the build index is negative."""
        if self.build_index < 0:
            raise UserError(f"build index {self.build_index} is not possible; give a whole number from 0")
        runner = [self.runner, self.runner_version]
        source = self.source_sha256(parse_probe_name(model))
        return digest_id([source, [], "fp32", runner, self.target, FLAGS, self.build_index])

    def build(self, model: str, cache: Path) -> Engine:
        """Build a probe's engine or take it from the cache; a probe has no batch size (1) and no precision (fp32)."""
        return obtain(cache, self.engine_id(model), self._builder(parse_probe_name(model)))

    def source_sha256(self, name: ProbeName) -> str:
        """Return the digest of what the probe does."""
        plan = self._plan(name)
        work = {"sizes": "of the device", "revision": REVISION} if plan is None else plan.as_dict()
        return sha256_of({"probe": asdict(name), "kernels": SOURCE, "work": work})

    def _plan(self, name: ProbeName) -> ProbePlan | None:
        return None if self.sizes is None else _planned(name, self.sizes)

    def _builder(self, name: ProbeName) -> Callable[[Path], Built]:
        def write(folder: Path) -> Built:
            path = folder / KERNELS
            path.write_text(SOURCE)
            plan, source = self._plan(name), self.source_sha256(name)
            fields = {
                "engine_id": self.engine_id(str(name)),
                "model": str(name),
                "family": "probe",
                "batch_size": 1,
                "input_shapes": {},
                "precision": "fp32",
                "runner": self.runner,
                "engine_kind": ENGINE_KIND,
                "build_target": self.target,
                "build_index": self.build_index,
                "source_sha256": source,
                "engine_sha256": sha256_of([file_digest(path), source]),
                "engine_bytes": path.stat().st_size,
                "parameter_count": 0,
                "weight_bytes": 0,
                "mac_count": None if plan is None else plan.mac_count,
                "flop_count": None if plan is None else 2 * plan.mac_count,
                "read_bytes": None if plan is None else plan.copied_bytes,
                "write_bytes": None if plan is None else plan.copied_bytes,
            }
            sizes = None if self.sizes is None else asdict(self.sizes)
            probe = {**asdict(name), "sizes": sizes, "plan": None if plan is None else plan.as_dict()}
            return Built(fields, {"flags": FLAGS, "versions": {}, "inputs": [], "probe": probe})

        return write


def load(request: LoadRequest) -> Executable:
    """Load a probe on a lane's stream: what `Loader` says of it.

    Raises:
        WorkError: The engine's kernels are not those of this version; build it again.
    """
    from cotenant.runners.cuda.probe_executable import ProbeExecutable

    return ProbeExecutable(plan_of(request.folder, request.meta, request.device_index), request.stream)


def plan_of(folder: Path, meta: dict[str, Any], device_index: int) -> ProbePlan:
    """Return what a built probe does: as its engine says, or by the device's sizes where it was built without one."""
    if (folder / KERNELS).read_text() != SOURCE:
        raise WorkError(f"{folder} holds kernels of another version of cotenant; remove that folder and build again")
    probe = meta["probe"]
    name = ProbeName(probe["kind"], probe["intensity_pct"])
    return _planned(name, _sizes_of(device_index) if probe["sizes"] is None else ProbeSizes(**probe["sizes"]))


def _planned(name: ProbeName, sizes: ProbeSizes) -> ProbePlan:
    return plan_probe(name.kind, name.intensity_pct, sizes.sm_count, sizes.l2_bytes, sizes.dram_bytes_per_s)


def _sizes_of(device_index: int) -> ProbeSizes:
    from cotenant.runners.cuda.devices import survey

    for gpu in survey().gpus:
        if gpu.index == device_index:
            return ProbeSizes(gpu.device.sm_count, gpu.device.l2_bytes or 0, gpu.dram_bytes_per_s)
    raise WorkError(f"CUDA device {device_index} is not there: {'; '.join(survey().troubles)}")
