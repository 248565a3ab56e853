"""64-bit words of pinned host memory that the device reads and writes at the same addresses."""

import ctypes

from cotenant.runners.cuda.driver_errors import done

WORD_BYTES = 8


class PinnedWords:
    """See `cotenant.runners.cuda.gpu.Words`; 64-bit hosts load and store an aligned word whole."""

    def __init__(self, count: int) -> None:
        """Allocate words in the current context."""
        from cuda.bindings import driver

        self._driver = driver
        byte_count = count * WORD_BYTES
        flags = driver.CU_MEMHOSTALLOC_DEVICEMAP | driver.CU_MEMHOSTALLOC_PORTABLE
        self._host = int(done(driver.cuMemHostAlloc(byte_count, flags), "cuMemHostAlloc"))
        ctypes.memset(self._host, 0, byte_count)
        self._device = int(done(driver.cuMemHostGetDevicePointer(self._host, 0), "cuMemHostGetDevicePointer"))
        self._words = (ctypes.c_uint64 * count).from_address(self._host)

    def address(self, index: int) -> int:
        """Return a word's address on the device."""
        return self._device + index * WORD_BYTES

    def read(self, index: int) -> int:
        """Return what a word holds now."""
        return self._words[index]

    def write(self, index: int, value: int) -> None:
        """Write a word."""
        self._words[index] = value

    def free(self) -> None:
        """Free the words; nothing on the device uses them any more."""
        done(self._driver.cuMemFreeHost(self._host), "cuMemFreeHost")
