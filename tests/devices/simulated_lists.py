"""Short lists of kernels on a simulated GPU that is no real one: what a page of hand calculation needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cotenant.runners.protocol import Completion, Lane
from cotenant.runners.simulated.device_file import DeviceFile, load_device
from cotenant.runners.simulated.device_state import quotas
from cotenant.runners.simulated.faults import Faults
from cotenant.runners.simulated.kernel_list import KernelList, kernel_list
from cotenant.runners.simulated.noise import slice_phase_ns
from cotenant.runners.simulated.session import SimulatedSession

ONE = 1 << 20
L2_BYTES = 1 << 16
FAR_NS = 10**12


@dataclass(frozen=True)
class Kernel:
    duration: int
    sm: int = 0
    l2: int = 0
    dram: int = 0
    spill: int = 0
    footprint: int = 0
    gap: int = 0


def listed(*kernels: Kernel) -> KernelList:
    return kernel_list(
        ["k"] * len(kernels),
        gap_ns=[k.gap for k in kernels],
        duration_ns=[k.duration for k in kernels],
        sm=[k.sm for k in kernels],
        l2=[k.l2 for k in kernels],
        dram=[k.dram for k in kernels],
        spill=[k.spill for k in kernels],
        footprint_bytes=[k.footprint for k in kernels],
    )


def device(noise_pct: float = 0, slice_ns: int = 1000, **faults: dict[str, Any]) -> DeviceFile:
    changes = {"l2_bytes": L2_BYTES, "noise_pct": noise_pct, "slice_ns": slice_ns, "faults": Faults(**faults)}  # type: ignore[arg-type]
    return load_device("l4").model_copy(update=changes)


def opened(
    lanes: int | Sequence[float | None], isolation: str = "streams", file: DeviceFile | None = None, seed: int = 0
) -> SimulatedSession:
    """Open so many lanes, or lanes with these shares."""
    shares = [None] * lanes if isinstance(lanes, int) else lanes
    return SimulatedSession(file or device(), isolation, quotas([Lane(share) for share in shares], isolation), seed)


def seed_of_phase(phase_ns: int, slice_ns: int) -> int:
    """Return a seed under which the turn has this phase."""
    return next(seed for seed in range(10_000) if slice_phase_ns(seed, slice_ns) == phase_ns)


def run(session: SimulatedSession, *lists: Sequence[Kernel], times: int = 1) -> dict[int, list[tuple[int, int]]]:
    """Submit a list to each lane at once, so many times; return each lane's (start_ns, end_ns) in order."""
    loaded = [session.load_kernels(lane, f"of lane {lane}", listed(*kernels)) for lane, kernels in enumerate(lists)]
    for _ in range(times):
        for lane, engine in enumerate(loaded):
            session.submit(lane, engine)
    spans: dict[int, list[tuple[int, int]]] = {lane: [] for lane in range(len(lists))}
    for completion in everything(session):
        spans[completion.lane].append((completion.start_ns, completion.end_ns))
    return spans


def everything(session: SimulatedSession) -> list[Completion]:
    done: list[Completion] = []
    while got := session.wait(session.now_ns() + FAR_NS):
        done += got
    return done
