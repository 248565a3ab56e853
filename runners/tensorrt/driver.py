"""Whether a GPU is here: without a driver no Runtime is constructed, because the call after it may end the process."""

import ctypes

LIBRARY = "libcuda.so.1"


def gpu_count() -> int:
    """Return how many GPUs the driver shows; 0 without a driver."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value
