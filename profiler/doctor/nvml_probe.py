"""Reads NVML in a process of its own: a driver in trouble makes such calls hang or crash."""

from cotenant.profiler.doctor.apart import answer
from cotenant.profiler.quality.nvml_reading import read


def main() -> None:
    """Answer with everything NVML tells."""
    import pynvml

    answer(read(pynvml).stored())


if __name__ == "__main__":
    main()
