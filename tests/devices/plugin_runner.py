"""The runner `model-gpu` as another distribution would bring it: commands and subprocesses find it by entry point.

    environment = {**os.environ, **plugged_in(tmp_path)}
    cotenant profile resnet18 --runner model-gpu ...

Its device has kind `gpu`, its sessions run on the model GPU in virtual time, and it offers `alone` for profilers: the
kernels of an execution are written to the file that $NCU_STAND_IN_LAUNCHES names, where the stand-in for ncu sees them.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_gpu import ModelGpu
from model_parts import Traits, VirtualClock
from model_runner import ModelRunner
from timed_engine import LOADER

from cotenant.models.errors import WorkError
from cotenant.runners.cuda.alone import alone_on
from cotenant.runners.engine_cache import read_meta
from cotenant.runners.protocol import Device, Engine

NAME = "model-gpu"
LAUNCHES = "NCU_STAND_IN_LAUNCHES"  # file that the kernels of the latest execution are written to
WITNESS = "NVTX_WITNESS"  # file of nvtx_witness.c: executions are told there too
FAILS = "PLUGIN_RUNNER_FAILS"  # `load`, `execute`, `exit` or `hang`: how an execution alone fails
HUNG = "PLUGIN_RUNNER_HUNG"  # file that a hanging execution writes its process into
MS = 1_000_000
SPANS_NS = {"resnet18": 2 * MS, "yolov8n": 3 * MS, "resnet50": 4 * MS, "vgg19": 8 * MS}
CONTENTION = 0.3
LAYERS = 3
KERNELS = (  # of each layer: name, grid per batch element, block, share of the layer in a thousand
    ("void conv_fprop<float, 128, 64>(Params)", (64, 1, 1), (256, 1, 1), 300),
    ("void relu(float *, int)", (64, 1, 1), (256, 1, 1), 50),
    ("void conv_fprop<float, 128, 64>(Params)", (64, 1, 1), (256, 1, 1), 300),
    ("void relu(float *, int)", (64, 1, 1), (256, 1, 1), 50),
    ("sm90_xmma_gemm_f16f16_tn", (8, 4, 1), (128, 1, 1), 250),
    ("softmax_warp(half *, half const *, int)", (8, 4, 1), (128, 1, 1), 50),
)


@dataclass(frozen=True)
class PluginRunner(ModelRunner):
    """See `model_runner.ModelRunner`."""

    needs_gpu: bool = False

    @contextmanager
    def alone(self, device: Device, engine: Engine) -> Iterator[Callable[[], None]]:
        if os.environ.get(FAILS) == "load":
            raise WorkError("out of GPU memory: 12 of 81920 MiB were free before it")
        gpu = ModelGpu(clock=VirtualClock(), traits=self.traits)
        with alone_on(gpu, engine, LOADER) as execute:

            def told() -> None:
                if os.environ.get(FAILS) == "execute":
                    raise RuntimeError("a bug of the profiled program")
                if os.environ.get(FAILS) == "exit":
                    os._exit(3)
                if os.environ.get(FAILS) == "hang":
                    Path(os.environ[HUNG]).write_text(str(os.getpid()))
                    time.sleep(3600)
                execute()
                if WITNESS in os.environ:
                    with Path(os.environ[WITNESS]).open("a") as file:
                        file.write(f"execute {threading.get_native_id()}\n")
                if LAUNCHES in os.environ:
                    Path(os.environ[LAUNCHES]).write_text(json.dumps(kernels_of(read_meta(engine.folder))))

            yield told


def kernels_of(meta: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the kernels of one execution in order: name, grid, block, duration_ns."""
    work_ns, batch = meta["work_ns"], meta["engine"]["batch_size"]
    return [
        {
            "name": name,
            "grid": [grid[0] * batch, *grid[1:]],
            "block": list(block),
            "duration_ns": work_ns * share // (1000 * LAYERS),
        }
        for name, grid, block, share in KERNELS * LAYERS
    ]


def plugged_in(folder: Path) -> dict[str, str]:
    """Write the distribution's metadata below a folder and return the variables with which Python finds it."""
    info = folder / "plugin" / "model_gpu_runner-1.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: model-gpu-runner\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[cotenant.runners]\n{NAME} = plugin_runner:RUNNER\n")
    before = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
    return {"PYTHONPATH": os.pathsep.join([str(info.parent), str(Path(__file__).parent), *before])}


RUNNER = PluginRunner(SPANS_NS, Traits(contention=CONTENTION))

if __name__ == "__main__":
    print(json.dumps(plugged_in(Path(sys.argv[1]))))
