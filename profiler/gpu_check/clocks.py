"""What NVML says of a GPU's state around a measurement: clocks, temperature, power, and what holds clocks back."""

from typing import Any

THROTTLE_MASK = 0xEC  # what slows down work: power cap, hardware and thermal slowdown, power brake


def gpu_state(device_id: str) -> dict[str, Any]:
    """Return the state now, of the GPU with this UUID; a value is None where the card or the driver does not tell."""
    import pynvml

    pynvml.nvmlInit()
    board = pynvml.nvmlDeviceGetHandleByUUID(device_id)

    def told(name: str, *arguments: Any) -> Any:
        try:
            return getattr(pynvml, name)(board, *arguments)
        except (pynvml.NVMLError, AttributeError):
            return None

    reasons = told("nvmlDeviceGetCurrentClocksEventReasons")
    return {
        "sm_clock_mhz": told("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
        "memory_clock_mhz": told("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM),
        "temperature_c": told("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
        "power_mw": told("nvmlDeviceGetPowerUsage"),
        "clock_event_reasons": reasons,
        "throttled": None if reasons is None else bool(reasons & THROTTLE_MASK),
    }
