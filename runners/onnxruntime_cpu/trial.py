"""One execution of a user's network before its engine is kept: what ONNX Runtime refuses is told when it is built.

ONNX's own checker passes networks that ONNX Runtime cannot execute: an opset it does not know yet, an operator without
a kernel for that type. The trial runs in a process of its own (`python -m cotenant.runners.onnxruntime_cpu.trial`, the
order on stdin), because native code that meets a strange graph may take its process with it.
"""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from cotenant.models.errors import UserError, WorkError

MODULE = "cotenant.runners.onnxruntime_cpu.trial"
THREADS = 1
REASON_CHARACTERS = 300
SOURCES = re.compile(
    r"Load model from .*? failed:|/onnxruntime_src/\S+:\d+ .*?\) "
)  # places that a reader does not have


def check_executes(graph: Path, inputs: list[dict[str, Any]], where: str) -> None:
    """Execute a graph once as a lane would, on random inputs.

    Args:
        graph: Its weights lie beside it.
        inputs: Name, dtype, shape and high of each, as meta.json keeps them.
        where: Names the model in messages.

    Raises:
        UserError: ONNX Runtime refuses it; the line holds its reason.
        WorkError: The process died of it.
    """
    order = {"graph": str(graph), "inputs": inputs}
    command = [sys.executable, "-P", "-m", MODULE]
    done = subprocess.run(command, input=json.dumps(order), capture_output=True, text=True, check=False)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise WorkError(
            f"{where}: executing it once ended the process with {name} (memory may have run out);"
            " choose a smaller model or batch size"
        )
    if done.returncode != 0:
        reason = " ".join(SOURCES.sub("", done.stdout or done.stderr).split())[:REASON_CHARACTERS].rstrip(". ")
        raise UserError(
            f"{where}: ONNX Runtime cannot execute it ({reason}); export it with operators, types and an opset"
            " that it knows"
        )


def main() -> int:
    """Execute the order on stdin once; print ONNX Runtime's reason and return 1 where it cannot."""
    from cotenant.runners.onnxruntime_cpu.executable import bound_call, inference_session
    from cotenant.runners.random_inputs import random_inputs

    order = json.loads(sys.stdin.read())
    try:
        session = inference_session(Path(order["graph"]), THREADS)  # first: its reason says more than numpy's
        bound_call(session, random_inputs(order["inputs"], seed=0))()
    except Exception as error:  # whatever the library raises is its reason
        print(str(error) or type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
