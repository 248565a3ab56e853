"""What the project itself has executed on GPUs: read from evidence.yaml, the one place where that is written down."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cotenant.profiler.doctor.check import Check

FILE = Path(__file__).with_name("evidence.yaml")
TITLES = {"gpu_execution": "GPU execution", "tensorrt_execution": "GPU execution with TensorRT"}
REMEDY = "run `make gpu-check` on a machine with an NVIDIA GPU"


@dataclass(frozen=True)
class Evidence:
    """One committed result: the device, and the file in the project's sources."""

    device: str
    results: str


def recorded(path: Path = FILE) -> dict[str, list[Evidence]]:
    """Return the results by what they prove, a key of TITLES."""
    import yaml

    told = yaml.safe_load(path.read_text())
    if set(told) != set(TITLES):
        raise ValueError(f"{path} must have exactly the keys {', '.join(TITLES)}")
    return {key: [Evidence(**entry) for entry in told[key]] for key in TITLES}


def checks(path: Path = FILE) -> Iterator[Check]:
    """Say plainly what has been run on which GPU, and what has not."""
    for key, evidence in recorded(path).items():
        if evidence:
            devices = ", ".join(f"{one.device} ({one.results})" for one in evidence)
            yield Check(f"evidence.{key}", "ok", f"{TITLES[key]}: run on {devices}")
        else:
            yield Check(f"evidence.{key}", "missing", f"{TITLES[key]}: not yet run", REMEDY)
