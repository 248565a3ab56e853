"""The driver's error codes as our exceptions, mapped once."""

from typing import Any

from cotenant.runners.cuda.gpu import GpuError, GpuLost, OutOfGpuMemory

OUT_OF_MEMORY = "CUDA_ERROR_OUT_OF_MEMORY"
# After these the context is lost: the driver's own text says that the process must be ended or the device is gone.
LOST = frozenset(
    {
        "CUDA_ERROR_ILLEGAL_ADDRESS",
        "CUDA_ERROR_LAUNCH_FAILED",
        "CUDA_ERROR_LAUNCH_TIMEOUT",
        "CUDA_ERROR_ILLEGAL_INSTRUCTION",
        "CUDA_ERROR_MISALIGNED_ADDRESS",
        "CUDA_ERROR_INVALID_ADDRESS_SPACE",
        "CUDA_ERROR_INVALID_PC",
        "CUDA_ERROR_HARDWARE_STACK_ERROR",
        "CUDA_ERROR_ASSERT",
        "CUDA_ERROR_ECC_UNCORRECTABLE",
        "CUDA_ERROR_NVLINK_UNCORRECTABLE",
        "CUDA_ERROR_CONTEXT_IS_DESTROYED",
        "CUDA_ERROR_DEVICE_UNAVAILABLE",
        "CUDA_ERROR_EXTERNAL_DEVICE",
        "CUDA_ERROR_MPS_CLIENT_TERMINATED",
        "CUDA_ERROR_MPS_CONNECTION_FAILED",
        "CUDA_ERROR_MPS_RPC_FAILURE",
        "CUDA_ERROR_MPS_SERVER_NOT_READY",
        "CUDA_ERROR_CONTAINED",
        "CUDA_ERROR_UNKNOWN",
    }
)


def done(result: tuple[Any, ...], call: str) -> Any:
    """Return what a binding returned besides its status: nothing, one value, or a tuple.

    Raises:
        OutOfGpuMemory, GpuLost, GpuError: The status was no success; the message names call and error.
    """
    status = result[0]
    if int(status) != 0:
        raise _error(status.name, call)
    return result[1] if len(result) == 2 else result[1:] or None


def _error(name: str, call: str) -> GpuError:
    message = f"{call} returned {name}"
    if name == OUT_OF_MEMORY:
        return OutOfGpuMemory(message)
    return GpuLost(message) if name in LOST else GpuError(message)
