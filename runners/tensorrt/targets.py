"""Build targets: what a plan depends on.

TensorRT's plans fit one GPU model, capability and driver; TensorRT-RTX's one capability (`sm_89`), or `portable`: what
the library builds by default, for every GPU that it supports from capability 8.0 on.
"""

import re

from cotenant.models.errors import UserError
from cotenant.runners.tensorrt.flavour import TENSORRT_RTX, Installed

PORTABLE = "portable"
CAPABILITIES = (75, 80, 86, 89, 120, 121)  # of TensorRT-RTX 1.7's ComputeCapability
WITHOUT_DEVICE = (PORTABLE, *(f"sm_{capability}" for capability in CAPABILITIES))


def target_of(here: Installed, name: str, architecture: str, driver_version: str) -> str:
    """Return the target of a GPU, `architecture` as in sm_89; UserError if TensorRT-RTX does not build for it."""
    if here.flavour != TENSORRT_RTX:
        return f"{name}, {architecture}, driver {driver_version}"
    if architecture not in WITHOUT_DEVICE:
        raise UserError(f"{here} has no target {architecture} ({name}); it has {', '.join(WITHOUT_DEVICE)}")
    return architecture


def capability_of(target: str) -> int | None:
    """Return the capability that a target names, 89 for sm_89; None for `portable`; UserError for any other word."""
    match = re.search(r"(?:^|, )sm_(\d{2,3})(?:,|$)", target)
    if match is None and target != PORTABLE:
        raise UserError(f"{target!r} is no build target; write {PORTABLE}, or a capability as in sm_89")
    return None if match is None else int(match[1])
