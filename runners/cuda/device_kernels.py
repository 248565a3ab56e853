"""Our own kernels in the current CUDA context: compiled by NVRTC once a process, loaded once a context."""

import ctypes
import functools
from typing import Any

from cotenant.runners.cuda.device_source import SOURCE
from cotenant.runners.cuda.driver_errors import done
from cotenant.runners.cuda.gpu import GpuError
from cotenant.runners.cuda.probe_plan import ProbePlan

U32, U64, POINTER = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
PACING = (U32, U32, U64, U32, POINTER)  # slots, intensity_pct, slot_ns, steps, buffer
KERNELS = ("hold", "wait_word", "stamp", "ticks", "compute", "copy")

_loaded: dict[int, "DeviceKernels"] = {}  # by context handle; ours is kept until the process ends


class DeviceKernels:
    """Launches our kernels on streams of one context."""

    def __init__(self, device: Any) -> None:
        """Load the kernels in the current context; every function is resolved here, so that no launch loads lazily."""
        from cuda.bindings import driver

        self._driver = driver
        module = done(driver.cuModuleLoadData(image(compute_capability(device))), "cuModuleLoadData")
        self._functions = {
            name: done(driver.cuModuleGetFunction(module, name.encode()), "cuModuleGetFunction") for name in KERNELS
        }
        optin = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        self._shared_bytes = int(done(driver.cuDeviceGetAttribute(optin, device), "cuDeviceGetAttribute"))
        dynamic = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        compute = self._functions["compute"]
        done(driver.cuFuncSetAttribute(compute, dynamic, self._shared_bytes), "cuFuncSetAttribute")

    def hold(self, stream: int, length_ns: int, until_ns: int, ended: int) -> None:
        """Queue a hold of `length_ns`, or until the global timer shows `until_ns` if that is not 0."""
        self._one_thread("hold", stream, (length_ns, until_ns, ended), (U64, U64, POINTER))

    def wait_word(self, stream: int, address: int, value: int, ended: int) -> None:
        """Queue a wait until the 32-bit word at `address` has reached `value`."""
        self._one_thread("wait_word", stream, (address, value, ended), (POINTER, U32, POINTER))

    def stamp(self, stream: int, address: int) -> None:
        """Queue a stamp of the global timer into the 64-bit word at `address`."""
        self._one_thread("stamp", stream, (address,), (POINTER,))

    def ticks(self, stream: int, address: int, count: int) -> None:
        """Queue a kernel that writes the next `count` values of the global timer into words from `address`."""
        self._one_thread("ticks", stream, (address, count), (POINTER, U32))

    def probe(self, stream: int, plan: ProbePlan, slot_ns: int, buffer: int) -> None:
        """Queue one execution of a probe.

        Args:
            stream: Raw CUstream.
            plan: What it does.
            slot_ns: Time of a slot at full rate; counts below 100 % only.
            buffer: Device memory of `footprint_bytes`, 16 bytes at least.
        """
        pacing = (plan.slot_count, plan.intensity_pct, slot_ns, plan.steps, buffer)
        if plan.copies:
            arguments = (*pacing, plan.footprint_bytes), (*PACING, U64)
            self._launch("copy", stream, plan.blocks, plan.threads, 0, arguments)
        else:
            shared_bytes = self._shared_bytes if plan.fills_sm else 0
            self._launch("compute", stream, plan.blocks, plan.threads, shared_bytes, (pacing, PACING))

    def _one_thread(self, name: str, stream: int, values: tuple[int, ...], kinds: tuple[Any, ...]) -> None:
        self._launch(name, stream, 1, 1, 0, (values, kinds))

    def _launch(
        self, name: str, stream: int, blocks: int, threads: int, shared_bytes: int, arguments: tuple[Any, Any]
    ) -> None:
        launch, function = self._driver.cuLaunchKernel, self._functions[name]
        done(launch(function, blocks, 1, 1, threads, 1, 1, shared_bytes, stream, arguments, 0), f"launch of {name}")


def current_kernels() -> DeviceKernels:
    """Return the kernels of the context that is current on this thread; GpuError if none is."""
    from cuda.bindings import driver

    context = int(done(driver.cuCtxGetCurrent(), "cuCtxGetCurrent"))
    if context == 0:
        raise GpuError("no CUDA context is current on this thread")
    if context not in _loaded:
        _loaded[context] = DeviceKernels(done(driver.cuCtxGetDevice(), "cuCtxGetDevice"))
    return _loaded[context]


def compute_capability(device: Any) -> int:
    """Return a device's compute capability as one number, e.g. 90."""
    from cuda.bindings import driver

    attributes = driver.CUdevice_attribute
    names = (
        attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
        attributes.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
    )
    major, minor = (int(done(driver.cuDeviceGetAttribute(name, device), "cuDeviceGetAttribute")) for name in names)
    return 10 * major + minor


@functools.lru_cache
def image(capability: int) -> bytes:
    """Return our kernels compiled for a compute capability; needs no device.

    Machine code where this NVRTC knows the capability, so that an older driver need not understand a newer compiler's
    PTX; PTX of the newest capability below it otherwise.

    Raises:
        GpuError: NVRTC is missing or refuses; with its log.
    """
    from cuda.bindings import nvrtc

    try:
        supported = done(nvrtc.nvrtcGetSupportedArchs(), "nvrtcGetSupportedArchs")
    except RuntimeError as error:  # cuda.pathfinder found no library
        raise GpuError(f"NVRTC is not installed; pip install nvidia-cuda-nvrtc ({_first_line(error)})") from error
    known = [each for each in supported if each <= capability]
    if not known:
        raise GpuError(
            f"NVRTC cannot compile for compute capability {capability / 10}; it is too old or too new for it"
        )
    exact = capability in known
    flag = f"--gpu-architecture={'sm' if exact else 'compute'}_{capability if exact else max(known)}"
    program = done(nvrtc.nvrtcCreateProgram(SOURCE.encode(), b"cotenant.cu", 0, [], []), "nvrtcCreateProgram")
    compiled = nvrtc.nvrtcCompileProgram(program, 1, [flag.encode()])
    if int(compiled[0]) != 0:
        raise GpuError(f"NVRTC cannot compile our kernels ({flag}): {_log(program)}")
    if exact:
        code = bytes(done(nvrtc.nvrtcGetCUBINSize(program), "nvrtcGetCUBINSize"))
        done(nvrtc.nvrtcGetCUBIN(program, code), "nvrtcGetCUBIN")
    else:
        code = bytes(done(nvrtc.nvrtcGetPTXSize(program), "nvrtcGetPTXSize"))
        done(nvrtc.nvrtcGetPTX(program, code), "nvrtcGetPTX")
    nvrtc.nvrtcDestroyProgram(program)
    return code


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def _log(program: Any) -> str:
    from cuda.bindings import nvrtc

    log = bytes(done(nvrtc.nvrtcGetProgramLogSize(program), "nvrtcGetProgramLogSize"))
    done(nvrtc.nvrtcGetProgramLog(program, log), "nvrtcGetProgramLog")
    return " ".join(log.decode(errors="replace").strip("\0 \n").split())
