"""The simulated runner: GPUs from device files, lanes in virtual time under the law of decision record 10."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cotenant.models.errors import UserError
from cotenant.models.model import Precision
from cotenant.runners.isolation import checked_isolation
from cotenant.runners.protocol import Counters, Device, Engine, Lane, Session

if TYPE_CHECKING:
    from cotenant.runners.simulated.device_file import DeviceFile
    from cotenant.runners.simulated.session import SimulatedSession

NAME = "simulated"
LAW_VERSION = "1"  # of decision record 10: raised when the same seed and engines no longer give the same stamps
ISOLATIONS = ("streams", "green-contexts", "mps", "processes")
DEFAULT_DEVICE = "l4"
MAX_LANES = 64


class Simulated:
    """See `cotenant.runners.protocol.Runner`."""

    name = NAME
    needs_gpu = False
    session_per_experiment = True  # time starts at 0 and draws by one seed: no result depends on what ran before

    def __init__(self) -> None:
        self._files: dict[str, DeviceFile] = {}  # by device_id: those asked for, and those that come with the package

    def version(self) -> str:
        """Return the version of the law and of the kernel lists."""
        return LAW_VERSION

    def devices(self) -> list[Device]:
        """Return the devices that come with the package, the default one first."""
        from cotenant.runners.simulated.device_file import device_names

        return [self._known(name) for name in sorted(device_names(), key=lambda name: (name != DEFAULT_DEVICE, name))]

    def device(self, name: str | None) -> Device:
        """Return a device by packaged name (`l4`, `l4:noise_pct=0`), path of a device file, its own name or its id."""
        if name is None:
            return self._known(DEFAULT_DEVICE)
        for device in self.devices():
            if name in (device.device_id, device.name):
                return device
        if name in self._files:
            return _device(self._files[name])
        return self._known(name)

    def device_file(self, device: Device) -> "DeviceFile":
        """Return the file behind a device that this runner has named; UserError otherwise."""
        return self._file(device.device_id)

    def target(self, device: Device) -> str:
        """Return the digest of the device's file: kernel lists hold times on that device."""
        return self.device_file(device).digest()

    def max_lanes(self, device: Device) -> int:
        """Return 64: simulated lanes need nothing of this machine."""
        return MAX_LANES

    def isolations(self) -> tuple[str, ...]:
        """Return the isolation modes whose law record 10 gives."""
        return ISOLATIONS

    def engine_id(self, model: str, batch_size: int, precision: Precision, target: str, build_index: int = 0) -> str:
        """Return the id that `build` would give."""
        from cotenant.runners.simulated import build

        return build.engine_id(model, batch_size, precision, target, build_index)

    def build(
        self, model: str, batch_size: int, precision: Precision, target: str, cache: Path, build_index: int = 0
    ) -> Engine:
        """Build an engine, a list of kernels, or take it from the cache; no weights are made."""
        from cotenant.runners.simulated import build

        return build.build(model, batch_size, precision, self._file(target), cache, build_index)

    def counters(self, engine: Engine) -> Counters | None:
        """Return the throughputs and kernels that the engine's own list tells."""
        from cotenant.runners.simulated.counters import counters_of

        return counters_of(engine)

    def open(
        self, device: Device, lanes: Sequence[Lane], isolation: str | None = None, seed: int = 0
    ) -> AbstractContextManager[Session]:
        """Open lanes at virtual time 0; everything that is drawn depends on `seed` alone."""
        mode = checked_isolation(isolation, ISOLATIONS, NAME)
        if not 1 <= len(lanes) <= MAX_LANES:
            raise UserError(f"{len(lanes)} lanes are not possible on runner {NAME}; give --lanes from 1 to {MAX_LANES}")
        if any(lane.priority != 0 for lane in lanes):
            raise UserError(f"lanes of runner {NAME} take no priority; leave it out")
        return _session(self.device_file(device), lanes, mode, seed)

    def _file(self, digest: str) -> "DeviceFile":
        if digest not in self._files:
            self.devices()
        if digest not in self._files:
            raise UserError(f"runner {NAME} knows no device {digest}; name a packaged device or the path of its file")
        return self._files[digest]

    def _known(self, name: str) -> Device:
        from cotenant.runners.simulated.device_file import load_device

        file = load_device(name)
        self._files[file.digest()] = file
        return _device(file)


@contextmanager
def _session(file: "DeviceFile", lanes: Sequence[Lane], isolation: str, seed: int) -> Iterator["SimulatedSession"]:
    from cotenant.runners.simulated.device_state import quotas
    from cotenant.runners.simulated.session import SimulatedSession

    yield SimulatedSession(file, isolation, quotas(lanes, isolation), seed)


def _device(file: "DeviceFile") -> Device:
    gib = file.dram_bytes / (1 << 30)
    return Device(
        device_id=file.digest(),
        device_type=f"simulated {file.name}, {file.sm_count} SMs at {file.sm_clock_mhz} MHz, {gib:g} GiB",
        kind="simulated",
        name=file.name,
        sm_count=file.sm_count,
        l2_bytes=file.l2_bytes,
        dram_bytes=file.dram_bytes,
        datasheet_flop_per_s=float(file.peak_flop_per_s.fp32_vector),
        datasheet_dram_bytes_per_s=float(file.dram_bytes_per_s),
    )
