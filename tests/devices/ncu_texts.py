"""What ncu says when something goes wrong, as people reported it; where each text was found stands beside it."""

# github.com/deepseek-ai/DeepGEMM/issues/46, HazyResearch/ThunderKittens/issues/73, NVIDIA/TensorRT-LLM/issues/183
PERMISSION = """==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance \
Counters on the target device 0. For instructions on enabling permissions and to get more information see \
https://developer.nvidia.com/ERR_NVGPUCTRPERM"""
# Printed with exit code 0; public logs of ncu 2022 to 2026 agree on it, most with the second line.
NO_KERNELS = """==WARNING== No kernels were profiled.
==WARNING== Profiling kernels launched by child processes requires the --target-processes all option."""
# The same under range and app-range replay, exit code 0; public notes of 2025 and 2026 on PyTorch and NVTX ranges
NO_RANGES = "==WARNING== No ranges were profiled."
# Of app-range replay, one line for each run; a public collector for ncu 12.8 under CC 8.9 expects exactly this
RANGE_PASS = '==PROF== Profiling "range" - 0: Application replay pass {}'
# In the midst of a kernel's progress; several public logs of 2024 and 2025, all of kernel replay
SLOW = """==PROF== Profiling "gemmTiled" - 0 (1/1): 0%
==WARNING== Launching the workload is taking more time than expected. If this continues to hang, terminate the \
profile and re-try by profiling the range of all related launches using '--replay-mode range'. See \
https://docs.nvidia.com/nsight-compute/ProfilingGuide/index.html#replay for more details.
...."""
# Nsight Compute 2025.3 and 2026.2 on older drivers, several public notes; exit code 1
DRIVER_MISMATCH = """==ERROR== Cuda driver is not compatible with Nsight Compute.
==ERROR== Failed to load Nsight Compute CUDA modules."""
# ncu 2025.1.1 under driver 580, without permission; the same text is told of WSL and of gVisor; exit code 9
LIBRARY_NOT_LOADED = """==ERROR== An error was reported by the counter measurement library:
==ERROR== Failed to initialize the profiler: LibraryNotLoaded. Check that a compatible driver library is loaded.
==PROF== Trying to shutdown target application
==ERROR== The application returned an error code (9)."""
# GPU operators run DCGM all the time; public bug notes on A100 and L40S; exit code 9
BUSY = """==ERROR== An error was reported by the driver:
==ERROR== Profiling failed because a driver resource was unavailable. Ensure that no other tool (like DCGM) is \
concurrently collecting profiling data. See https://docs.nvidia.com/nsight-compute/ProfilingGuide/index.html#faq for \
more details.
==ERROR== Failed to profile "flash_fwd_kernel" in process 4242
==PROF== Trying to shutdown target application
==ERROR== The application returned an error code (9).
==ERROR== An error occurred while trying to profile.
==WARNING== No kernels were profiled."""
# github.com/madgraph5/madgraph4gpu/issues/603 has the cause; the text stands in public logs; exit code 9
LOCK = """==ERROR== Failed to open/create lock file /tmp/nsight-compute-lock. Please check that this process has write \
permissions on this file. See https://docs.nvidia.com/nsight-compute/ProfilingGuide/index.html#faq for more details.
==ERROR== Failed to profile "vectorized_elementwise_kernel" in process 4242
==PROF== Trying to shutdown target application
==ERROR== The application returned an error code (9).
==ERROR== An error occurred while trying to profile."""
# ncu 2022.4 on a GPU of compute capability 12.0; the program goes on, exit code 0
OLD_FOR_GPU = """==ERROR== Profiling is not supported on device 0. To find out supported GPUs refer --list-chips option.
==WARNING== No kernels were profiled."""
# github.com/SzymonOzog/FastSoftmax/issues/1 and ncu 2026.1 on a cloud's virtual machine; exit code 9
UNKNOWN_DEVICE = """==ERROR== Failed to prepare kernel for profiling
==ERROR== An error was reported by the counter measurement library:
==ERROR== Unknown error on device 0.
==ERROR== Failed to profile "distribution_elementwise_grid..." in process 4242
==ERROR== The application returned an error code (9)."""
# DeepBench under ncu: the nineteenth kernel failed and a report was written all the same; exit code 15
FAILED_KERNEL = """==ERROR== Failed to profile "volta_h884gemm_128x256_ldg8_nn" in process 4242
==PROF== Trying to shutdown target application
==ERROR== The application returned an error code (15).
==ERROR== An error occurred while trying to profile."""
# boost's own words, as ncu prints them: "unrecognised option '--output'. Use --help for further details."
UNKNOWN_OPTION = "==ERROR== unrecognised option '{}'. Use --help for further details."
FAILURES = {
    "permission": (PERMISSION, 1),
    "driver_mismatch": (DRIVER_MISMATCH, 1),
    "library_not_loaded": (LIBRARY_NOT_LOADED, 9),
    "busy": (BUSY, 9),
    "lock": (LOCK, 9),
    "old_for_gpu": (OLD_FOR_GPU, 0),
    "unknown_device": (UNKNOWN_DEVICE, 9),
    "no_kernels": (NO_KERNELS, 0),
}
