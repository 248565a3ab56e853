"""Loads one runner in a process of its own and asks it for version, devices and lanes; no session is opened."""

import sys
from typing import Any

from cotenant.models.errors import CotenantError
from cotenant.profiler.doctor.apart import answer


def main(name: str) -> None:
    """Answer with what a runner says of itself on this machine."""
    from cotenant.runners.registry import load

    facts: dict[str, Any] = {"devices": []}
    try:
        runner = load(name)
        facts |= {"needs_gpu": runner.needs_gpu, "version": runner.version(), "isolations": list(runner.isolations())}
        for device in runner.devices():
            lanes = runner.max_lanes(device)
            facts["devices"].append({"kind": device.kind, "name": device.name, "lane_count_max": lanes})
    except CotenantError as error:
        facts["refused"] = str(error)
    answer(facts)


if __name__ == "__main__":
    main(sys.argv[1])
