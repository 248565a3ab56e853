"""What this package does on a real GPU: `python3 -m cotenant.profiler.gpu_check --out DIR`.

Nothing needs to be installed: PYTHONPATH=.links in a checkout is enough. Clocks, power, MIG and compute mode of the GPU
stay as they are.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cotenant.profiler.gpu_check.catalogue import PARTS, chosen
from cotenant.profiler.gpu_check.part import Part
from cotenant.profiler.gpu_check.run import run_all

BUDGET_S = 540.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check and return its exit code: 0 if each part that ran is ok, 1 otherwise, 2 for bad arguments."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    parts: tuple[Part, ...] = PARTS
    if asked.parts is not None:
        try:
            parts = chosen(asked.parts)
        except ValueError as error:
            parser.error(str(error))
    if asked.list:
        print("\n".join(_line(part) for part in parts))
        return 0
    if asked.out is None:
        parser.error("say where results go: --out DIR")
    if asked.out.exists() and not asked.out.is_dir():
        parser.error(f"{asked.out} is no folder; give --out another one")
    return run_all(parts, asked.out.absolute(), asked.budget_s)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpu_check",
        description="Check on a real GPU what cotenant claims; one JSON line a part, and one small archive in the end.",
        epilog="Exit codes: 0 each part that ran is ok; 1 one is not, or none ran; 2 bad arguments.",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for results; an earlier run's are replaced")
    parser.add_argument("--parts", metavar="A,B", help="only these parts, in the order of --list")
    parser.add_argument("--budget-s", type=_positive, default=BUDGET_S, help="seconds for everything (default 540)")
    parser.add_argument("--list", action="store_true", help="print the parts and what each checks")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return value


def _line(part: Part) -> str:
    return f"{part.name:20} {part.timeout_s:4.0f} s at most   {part.tells}"


if __name__ == "__main__":
    sys.exit(main())
