"""Why the driver refused its counters, and what would make it give them, on this machine."""

import re
from pathlib import Path

ROOT = Path("/")
DRIVER = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")


def forbidden_line(root: Path = ROOT) -> str:
    """Return the line for a user whom the driver has refused: why, and the remedy that fits this machine."""
    # the doctor looks at the same things before anything runs, and imports this package to find ncu
    from cotenant.profiler.doctor import ncu
    from cotenant.profiler.quality.container import in_container, read_text

    driver = DRIVER.search(read_text(root / "proc/driver/nvidia/version") or "")
    check = ncu.permission(driver[1] if driver is not None else "0", root)
    remedy = check.remedy
    if (
        check.state != "missing" or remedy is None
    ):  # it looked allowed, or nothing could be seen; the driver knows better
        remedy = ncu.CONTAINER_REMEDY if in_container(root) else ncu.HOST_REMEDY
    return f"the driver does not let this user read the GPU's counters: {remedy}"
