"""One NVIDIA GPU through the CUDA driver: see `cotenant.runners.cuda.gpu.Gpu`."""

from contextlib import suppress

from cotenant.runners.cuda.driver_context import DriverContext
from cotenant.runners.cuda.driver_errors import done
from cotenant.runners.cuda.gpu import GpuError, Words
from cotenant.runners.cuda.pinned_words import PinnedWords

NOT_SUPPORTED = "CUDA_ERROR_NOT_SUPPORTED"
NOT_READY = "CUDA_ERROR_NOT_READY"


class DriverGpu(DriverContext):
    """A device opened through the driver."""

    def __init__(self, device_index: int, alone: bool = False) -> None:
        """Open the device; see `DriverContext`."""
        super().__init__(device_index, alone)
        self._waits_on_words = True
        self._ended = PinnedWords(1)
        self._words = [self._ended]

    def create_event(self) -> int:
        """Create an event that keeps the time; whoever waits for it polls."""
        return int(done(self._driver.cuEventCreate(self._driver.CUevent_flags.CU_EVENT_DEFAULT), "cuEventCreate"))

    def destroy_event(self, event: int) -> None:
        """Destroy an event."""
        done(self._driver.cuEventDestroy(event), "cuEventDestroy")

    def record(self, event: int, stream: int) -> None:
        """Let an event take the time at which the stream reaches this point."""
        done(self._driver.cuEventRecord(event, stream), "cuEventRecord")

    def is_done(self, event: int) -> bool:
        """Tell whether an event's latest record has been reached."""
        result = self._driver.cuEventQuery(event)
        if int(result[0]) != 0 and result[0].name == NOT_READY:
            return False
        done(result, "cuEventQuery")
        return True

    def elapsed_ms(self, first: int, second: int) -> float:
        """Return the time between two events that are done."""
        return float(done(self._driver.cuEventElapsedTime(first, second), "cuEventElapsedTime"))

    def begin_capture(self, stream: int) -> None:
        """Let a stream collect what is queued on it."""
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        done(self._driver.cuStreamBeginCapture(stream, mode), "cuStreamBeginCapture")

    def end_capture(self, stream: int) -> int:
        """End a capture and return a graph, instantiated and uploaded."""
        graph = done(self._driver.cuStreamEndCapture(stream), "cuStreamEndCapture")
        try:
            instance = done(self._driver.cuGraphInstantiate(graph, 0), "cuGraphInstantiate")
        finally:
            done(self._driver.cuGraphDestroy(graph), "cuGraphDestroy")
        try:
            done(self._driver.cuGraphUpload(instance, stream), "cuGraphUpload")
        except GpuError:
            with suppress(GpuError):  # the first error tells more
                self.destroy_graph(int(instance))
            raise
        return int(instance)

    def launch_graph(self, graph: int, stream: int) -> None:
        """Queue an execution of a graph."""
        done(self._driver.cuGraphLaunch(graph, stream), "cuGraphLaunch")

    def destroy_graph(self, graph: int) -> None:
        """Free a graph."""
        done(self._driver.cuGraphExecDestroy(graph), "cuGraphExecDestroy")

    def words(self, count: int) -> Words:
        """Allocate pinned words."""
        words = PinnedWords(count)
        self._words.append(words)
        return words

    def wait_word(self, stream: int, words: Words, index: int, value: int) -> None:
        """Hold a stream until a word has reached a value: by the driver, by a spinning kernel where it cannot."""
        address, value = words.address(index), value & 0xFFFFFFFF
        if self._waits_on_words:
            flag = int(self._driver.CUstreamWaitValue_flags.CU_STREAM_WAIT_VALUE_GEQ)
            result = self._driver.cuStreamWaitValue32(stream, address, value, flag)
            if int(result[0]) == 0 or result[0].name != NOT_SUPPORTED:
                done(result, "cuStreamWaitValue32")
                return
            self._waits_on_words = False
        self._kernels.wait_word(stream, address, value, self._ended.address(0))

    def allocate_host(self, byte_count: int) -> int:
        """Allocate pinned host memory for copies."""
        return int(done(self._driver.cuMemHostAlloc(byte_count, 0), "cuMemHostAlloc"))

    def free_host(self, address: int) -> None:
        """Free pinned host memory."""
        done(self._driver.cuMemFreeHost(address), "cuMemFreeHost")

    def copy_to_device(self, address: int, host_address: int, byte_count: int, stream: int) -> None:
        """Queue a copy from pinned host memory to the device."""
        done(self._driver.cuMemcpyHtoDAsync(address, host_address, byte_count, stream), "cuMemcpyHtoDAsync")

    def copy_to_host(self, host_address: int, address: int, byte_count: int, stream: int) -> None:
        """Queue a copy from the device to pinned host memory."""
        done(self._driver.cuMemcpyDtoHAsync(host_address, address, byte_count, stream), "cuMemcpyDtoHAsync")

    def launch_delay(self, stream: int, delay_ns: int) -> None:
        """Queue a kernel that ends `delay_ns` after it began."""
        self._kernels.hold(stream, delay_ns, 0, self._ended.address(0))

    def launch_until(self, stream: int, timer_ns: int) -> None:
        """Queue a kernel that ends once the global timer shows `timer_ns`."""
        self._kernels.hold(stream, 0, timer_ns, self._ended.address(0))

    def launch_stamp(self, stream: int, words: Words, index: int) -> None:
        """Queue a kernel that writes the global timer into a word."""
        self._kernels.stamp(stream, words.address(index))

    def launch_ticks(self, stream: int, words: Words, count: int) -> None:
        """Queue a kernel that writes the next `count` different values of the global timer into the first words."""
        self._kernels.ticks(stream, words.address(0), count)

    def end_delays(self) -> None:
        """Let every delay end at once, from now on."""
        self._ended.write(0, 1)

    def close(self) -> None:
        """Free everything; what the lanes queued has ended."""
        self.activate()
        self.close_lanes()
        for words in self._words:
            words.free()
