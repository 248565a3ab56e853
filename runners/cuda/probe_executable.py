"""A probe as an `Executable`: what `probe_engines.load` returns for a plan."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from cotenant.runners.cuda.device_kernels import DeviceKernels, current_kernels
from cotenant.runners.cuda.driver_errors import done
from cotenant.runners.cuda.executable import Binding
from cotenant.runners.cuda.probe_plan import ProbePlan

PACE_RUNS = 3
FILL = 0x3F9D70A4  # 1.23 as float32: no zeros, which need less power than data
SMALLEST_BYTES = 16


class ProbeExecutable:
    """A probe in the current CUDA context; a probe has neither inputs nor outputs."""

    inputs: Sequence[Binding] = ()
    outputs: Sequence[Binding] = ()

    def __init__(self, plan: ProbePlan, stream: int) -> None:
        """Allocate what the probe touches and measure the pace of full rate on an idle stream, if it needs one."""
        from cuda.bindings import driver

        self._driver = driver
        self._kernels: DeviceKernels = current_kernels()
        self._plan = plan
        byte_count = max(SMALLEST_BYTES, plan.footprint_bytes)
        self._buffer = int(done(driver.cuMemAlloc(byte_count), "cuMemAlloc"))
        try:
            done(driver.cuMemsetD32Async(self._buffer, FILL, byte_count // 4, stream), "cuMemsetD32Async")
            self._slot_ns = 0 if plan.intensity_pct == 100 else self._full_rate_slot_ns(stream)
        except BaseException:
            self.close()
            raise

    def enqueue(self, stream: int) -> None:
        """Queue one execution."""
        self._kernels.probe(stream, self._plan, self._slot_ns, self._buffer)

    def close(self) -> None:
        """Free the probe's memory."""
        done(self._driver.cuMemFree(self._buffer), "cuMemFree")

    def _full_rate_slot_ns(self, stream: int) -> int:
        full = dataclasses.replace(self._plan, intensity_pct=100)
        flags = self._driver.CUevent_flags.CU_EVENT_DEFAULT
        events = [int(done(self._driver.cuEventCreate(flags), "cuEventCreate")) for _ in range(2)]
        self._kernels.probe(stream, full, 0, self._buffer)
        spans_ms = [self._span_ms(full, stream, events) for _ in range(PACE_RUNS)]
        for event in events:
            done(self._driver.cuEventDestroy(event), "cuEventDestroy")
        return max(1, round(statistics.median(spans_ms) * 1e6 / full.slot_count))

    def _span_ms(self, full: ProbePlan, stream: int, events: Sequence[Any]) -> float:
        done(self._driver.cuEventRecord(events[0], stream), "cuEventRecord")
        self._kernels.probe(stream, full, 0, self._buffer)
        done(self._driver.cuEventRecord(events[1], stream), "cuEventRecord")
        done(self._driver.cuStreamSynchronize(stream), "cuStreamSynchronize")
        return float(done(self._driver.cuEventElapsedTime(*events), "cuEventElapsedTime"))
