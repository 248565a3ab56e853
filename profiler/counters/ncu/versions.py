"""Whether a version of Nsight Compute fits the driver's CUDA and the GPU, as far as versions tell it.

Nsight Compute is released with each CUDA toolkit, and its version names year and number. Which came with which stands
in "Nsight Compute Release History" (developer.nvidia.com) and in the labels of the conda package nsight-compute; a
GPU's first toolkit in CUDA's release notes.
"""

import re

Version = tuple[int, int]
FIRST_OF_CUDA: dict[int, Version] = {11: (2020, 1), 12: (2022, 4), 13: (2025, 3)}
FIRST_OF_GPU: dict[str, Version] = {  # by compute capability: of the toolkit that first compiled for it
    "8.0": (2020, 1),
    "8.6": (2020, 2),
    "8.7": (2021, 2),
    "8.9": (2022, 3),
    "9.0": (2022, 3),
    "10.0": (2025, 1),
    "12.0": (2025, 1),
}
REMEDY = "install a newer Nsight Compute and put that `ncu` on PATH"


def misfit(version: str, cuda_major: int | None, capability: str | None) -> str | None:
    """Return why an ncu may be too old, in one phrase with the fix; None if nothing is known against it.

    Args:
        version: As ncu tells it, e.g. 2025.3.1.0.
        cuda_major: Of the driver; None if unknown.
        capability: Of the GPU, e.g. "9.0"; None if unknown.
    """
    own = _version(version)
    if own is None:
        return None
    for_gpu = FIRST_OF_GPU.get(capability or "")
    if for_gpu is not None and own < for_gpu:
        return f"it may not know this GPU (capability {capability}), which {_named(for_gpu)} was the first to: {REMEDY}"
    for_cuda = FIRST_OF_CUDA.get(cuda_major or 0)
    if for_cuda is not None and own < for_cuda:
        return f"it is older than the driver's CUDA {cuda_major}, which came with {_named(for_cuda)}: {REMEDY}"
    return None


def _version(text: str) -> Version | None:
    found = re.match(r"(\d+)\.(\d+)", text)
    return None if found is None else (int(found[1]), int(found[2]))


def _named(version: Version) -> str:
    return f"Nsight Compute {version[0]}.{version[1]}"
