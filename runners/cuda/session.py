"""Entry points of the CUDA lanes: what a runner calls to open a session.

streams, green-contexts   all lanes in this process, in the device's one primary context
processes, mps            one process per lane, each with a context of its own
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

from cotenant.models.errors import UserError
from cotenant.runners.protocol import Lane

if TYPE_CHECKING:
    from cotenant.runners.cuda.in_process_session import InProcessSession
    from cotenant.runners.cuda.process_session import ProcessSession

InProcessIsolation = Literal["streams", "green-contexts"]
ProcessIsolation = Literal["processes", "mps"]
IN_PROCESS: tuple[InProcessIsolation, ...] = ("streams", "green-contexts")
IN_PROCESSES: tuple[ProcessIsolation, ...] = ("processes", "mps")


def open_in_process(
    device_index: int,
    lanes: Sequence[Lane],
    isolation: InProcessIsolation,
    loader: str,
    seed: int = 0,
    weights_shared: bool | None = None,
) -> "AbstractContextManager[InProcessSession]":
    """Open lanes in this process, on streams of the device's primary context.

    Args:
        device_index: CUDA ordinal of the device.
        lanes: What is asked of each lane; shares only with `green-contexts`.
        isolation: `streams` or `green-contexts`.
        loader: Path `package.module:function` of the loader of networks (`CudaBackend.loader`); probes have their own.
        seed: What inputs are drawn from, together with the engine's id.
        weights_shared: Whether the backend lets lanes of one process share an engine's weights; None = cannot be told.

    Raises:
        UserError: A share or a priority that this isolation cannot give.
        WorkError: The device cannot be opened, or refuses a green context.
    """
    from cotenant.runners.cuda.in_process_session import opened

    _check(lanes, isolation, takes_shares=isolation == "green-contexts")
    return opened(device_index, lanes, isolation, loader, seed, weights_shared)


def open_processes(
    device_index: int,
    lanes: Sequence[Lane],
    loader: str,
    environment: Sequence[Mapping[str, str]],
    takes_shares: bool = False,
    seed: int = 0,
) -> "AbstractContextManager[ProcessSession]":
    """Open each lane in a process of its own, with its own CUDA context; they start together and end with this one.

    Args:
        device_index: CUDA ordinal of the device as the lanes' processes see it (under MPS: the daemon's numbering).
        lanes: What is asked of each lane.
        loader: Path `package.module:function` of the loader of networks (`CudaBackend.loader`); probes have their own.
        environment: Variables added to each lane's environment, one mapping a lane; {} for plain time-sliced processes.
        takes_shares: Whether `environment` grants the lanes' shares (MPS does).
        seed: What inputs are drawn from, together with the engine's id.

    Raises:
        UserError: A share that this isolation cannot give.
        WorkError: A lane's process cannot start or cannot open the device.
    """
    from cotenant.runners.cuda.process_opening import opened

    _check(lanes, "mps" if takes_shares else "processes", takes_shares)
    if len(environment) != len(lanes):
        raise ValueError(f"{len(environment)} environments for {len(lanes)} lanes")
    return opened(device_index, lanes, loader, environment, seed)


def _check(lanes: Sequence[Lane], isolation: str, takes_shares: bool) -> None:
    if not lanes:
        raise UserError("a session needs at least one lane; give --lanes 1 or more")
    shares = [lane.share_pct for lane in lanes if lane.share_pct is not None]
    if shares and not takes_shares:
        raise UserError(f"lanes of isolation {isolation} have no shares; leave them out, or use green-contexts or mps")
    if any(not 0 < share <= 100 for share in shares):
        raise UserError(f"a lane's share must be above 0 and at most 100 per cent; these are {shares}")
