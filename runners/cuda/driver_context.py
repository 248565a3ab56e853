"""A device's primary context through the CUDA driver, and the streams in it."""

import os
from typing import Any

from cotenant.runners.cuda.device_kernels import current_kernels
from cotenant.runners.cuda.driver_errors import done
from cotenant.runners.cuda.gpu import GpuError, LaneStream, Memory
from cotenant.runners.cuda.green_contexts import GreenContext, create_green_contexts, destroy_green_contexts

# Read by the driver as it starts. Lazy loading would load kernels in the middle of a first co-run and serialise it;
# with the default 8 connections, lanes, anchors and copies could share a hardware queue and wait for each other.
DRIVER_VARIABLES = {"CUDA_MODULE_LOADING": "EAGER", "CUDA_DEVICE_MAX_CONNECTIONS": "32"}


def set_driver_variables() -> None:
    """Set what the driver reads from the environment; to be called before it starts."""
    for name, value in DRIVER_VARIABLES.items():
        os.environ.setdefault(name, value)
    os.environ["CUDA_LAUNCH_BLOCKING"] = "0"  # whatever the user set: launches behind a closed gate would never return


class DriverContext:
    """The device's primary context, which torch and TensorRT use as well.

    Separate contexts of one process would be time-sliced. It is kept until the process ends, because such libraries may
    hold something in it.
    """

    def __init__(self, device_index: int, alone: bool) -> None:
        """Retain the context; `alone` = this process has one lane and others have theirs.

        Raises:
            GpuError: No driver, no such device, or the driver refuses.
        """
        self.device_index = device_index
        self._alone = alone
        self._driver = _driver()
        self._green: list[GreenContext] = []
        self._streams: list[int] = []
        self._device = done(self._driver.cuDeviceGet(device_index), "cuDeviceGet")
        self._context = done(self._driver.cuDevicePrimaryCtxRetain(self._device), "cuDevicePrimaryCtxRetain")
        self.activate()
        self._kernels = current_kernels()

    @property
    def isolation_observed(self) -> str:
        """What the driver says of the lanes opened so far."""
        if self._alone:
            mps = self._driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MPS_ENABLED
            return (
                "mps"
                if done(self._driver.cuDeviceGetAttribute(mps, self._device), "cuDeviceGetAttribute")
                else "processes"
            )
        if not self._green:
            return "streams"
        green = [int(done(self._driver.cuStreamGetGreenCtx(s), "cuStreamGetGreenCtx")) for s in self._streams]
        confined = bool(green) and all(green) and len(set(green)) == len(green)
        return "green-contexts" if confined else "streams"

    def activate(self) -> None:
        """Make the context current on the calling thread."""
        done(self._driver.cuCtxSetCurrent(self._context), "cuCtxSetCurrent")

    def memory(self) -> Memory:
        """Return free and total memory."""
        return Memory(*map(int, done(self._driver.cuMemGetInfo(), "cuMemGetInfo")))

    def lane_streams(self, priorities: list[int], shares_pct: list[float | None] | None) -> list[LaneStream]:
        """Create the streams of all lanes; each in a green context of its own if `shares_pct` is given."""
        if shares_pct is not None:
            self._green = create_green_contexts(self._device, shares_pct)
        streams, self._streams = [], []
        for lane, priority in enumerate(priorities):
            handle = self._green_stream(lane, priority) if self._green else self._stream(priority)
            self._streams.append(handle)
            granted = int(done(self._driver.cuStreamGetPriority(handle), "cuStreamGetPriority"))
            streams.append(LaneStream(handle, granted, self._green[lane].sm_count if self._green else None))
        return streams

    def create_stream(self, urgent: bool = False) -> int:
        """Create a non-blocking stream, of the highest priority if `urgent`."""
        _, greatest = done(self._driver.cuCtxGetStreamPriorityRange(), "cuCtxGetStreamPriorityRange")
        return self._stream(int(greatest) if urgent else 0)

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream."""
        done(self._driver.cuStreamDestroy(stream), "cuStreamDestroy")

    def synchronize(self, stream: int) -> None:
        """Block until a stream has done all its work."""
        done(self._driver.cuStreamSynchronize(stream), "cuStreamSynchronize")

    def close_lanes(self) -> None:
        """Destroy the lanes' streams and green contexts."""
        for stream in self._streams:
            self.destroy_stream(stream)
        destroy_green_contexts(self._green)

    def _stream(self, priority: int) -> int:
        flag = self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING
        made = self._driver.cuStreamCreateWithPriority(flag, priority)
        return int(done(made, "cuStreamCreateWithPriority"))

    def _green_stream(self, lane: int, priority: int) -> int:
        flag = self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING
        made = self._driver.cuGreenCtxStreamCreate(self._green[lane].handle, flag, priority)
        return int(done(made, "cuGreenCtxStreamCreate"))


def _driver() -> Any:
    set_driver_variables()
    try:
        from cuda.bindings import driver

        done(driver.cuInit(0), "cuInit")
    except (ImportError, RuntimeError) as error:  # cuda.pathfinder raises RuntimeErrors where there is no driver
        raise GpuError(f"the CUDA driver cannot be used: {error}; `cotenant doctor` tells what is missing") from error
    return driver
