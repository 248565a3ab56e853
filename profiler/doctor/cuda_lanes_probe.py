"""Opens each GPU as CUDA lanes would and measures the step of its global timer; in a process of its own."""

from typing import Any

from cotenant.profiler.doctor.apart import answer
from cotenant.profiler.quality.failure import failure


def main() -> None:
    """Answer with each GPU's tick by UUID, and with what keeps GPUs from being used."""
    from cotenant.runners.cuda.devices import survey

    found = survey()
    gpus = {gpu.device.device_id: _tick(gpu.index) for gpu in found.gpus}
    answer({"gpus": gpus, "troubles": list(found.troubles)})


def _tick(device_index: int) -> dict[str, Any]:
    from cotenant.runners.cuda.driver_gpu import DriverGpu
    from cotenant.runners.cuda.stamps import timer_tick_ns

    try:
        return {"tick_ns": timer_tick_ns(DriverGpu(device_index))}
    except Exception as error:
        return {"refused": failure(error)}


if __name__ == "__main__":
    main()
