"""What a build process is told and what it tells; plain data, a JSON object a line.

order (one line on stdin) -> step, step, ..., then built, inspected | refused | cancelled (on stdout)
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Word = Literal["step", "built", "inspected", "refused", "cancelled"]

PLAN = "engine.plan"
INSPECTOR = "layers.json"
NO_DRIVER = "no NVIDIA driver where it was built"


@dataclass(frozen=True)
class BuildOrder:
    """One engine to build.

    Attributes:
        where: Names the model in messages.
        choice: Value of $COTENANT_TENSORRT that chose the library; "" = none.
        graph: ONNX file; its weights lie beside it.
        folder: Where plan, log and layers are written.
        input_shapes: Shape of every input.
        capability: GPU capability to build for (89 = 8.9); None = the library's default.
        memory_limit_bytes: Largest scratch memory of a layer.
        timing_cache: File shared by builds for one device; None = what is timed is forgotten.
    """

    where: str
    choice: str
    graph: str
    folder: str
    input_shapes: dict[str, list[int]]
    capability: int | None
    memory_limit_bytes: int
    timing_cache: str | None

    def line(self) -> str:
        """Return the order as a line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of_line(cls, line: str) -> "BuildOrder":
        """Return the order that a line holds."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class BuildReport:
    """What came of a build.

    Attributes:
        inputs, outputs: Name, dtype (the library's name, e.g. HALF) and shape of each, as the library has them.
        layer_count: Layers of the network as the parser made it.
        memory_limit_bytes: As the library took it.
        tf32: Whether float32 products may be rounded to TF32 on the way.
        warnings: Of the log.
        timing_cache: `shared`, or why not.
        layers_missing: Why the layers of the engine are not kept beside it; None if they are.
    """

    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    layer_count: int
    memory_limit_bytes: int
    tf32: bool
    warnings: list[str] = field(default_factory=list)
    timing_cache: str = ""
    layers_missing: str | None = NO_DRIVER
