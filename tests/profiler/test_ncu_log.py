"""What ncu said and how it ended, against the one error that people are told."""

from pathlib import Path
from typing import Any

import ncu_texts as texts
import pytest

from cotenant.profiler.counters.ncu import permission
from cotenant.profiler.counters.ncu.errors import (
    ChildFailed,
    CountersForbidden,
    DriverMismatch,
    LibraryNotLoaded,
    LogError,
    NcuCrashed,
    NcuFailed,
    NcuHung,
    NoKernelsProfiled,
    ProfilerBusy,
)
from cotenant.profiler.counters.ncu.log import Told, failure, profiled_count
from cotenant.profiler.counters.ncu.process import Finished

CONNECTED = "==PROF== Connected to process 4242 (/usr/bin/python3.11)\n"
WSL = "==ERROR== Profiling is not supported on device 0 as it uses the Windows Subsystem for Linux (WSL).\n"
STUB = "==ERROR== Nsight Compute failed to connect to the CUDA driver (stub libcuda.so[.1] on path?).\n"
METRIC = "==ERROR== Failed to find metric sm__none.sum\n"
ENDED = {"executions": 1}


def told(
    log: str,
    code: int | None = 0,
    tail: str = "",
    outcome: dict[str, Any] | None = None,
    report_exists: bool = True,
) -> NcuFailed | None:
    return failure(
        Told(Finished(code, tail, 1.0), CONNECTED + log, ENDED if outcome is None else outcome, report_exists, 60.0)
    )


@pytest.mark.parametrize(
    ("text", "code", "kind", "remedy"),
    [
        (texts.PERMISSION, 1, CountersForbidden, "NVreg_RestrictProfilingToAdminUsers=0"),
        (texts.PERMISSION, 0, CountersForbidden, "NVreg_RestrictProfilingToAdminUsers=0"),
        (texts.PERMISSION + "\n" + texts.NO_KERNELS, 0, CountersForbidden, "NVreg_RestrictProfilingToAdminUsers=0"),
        (texts.NO_KERNELS, 0, NoKernelsProfiled, "update Nsight Compute"),
        (texts.NO_RANGES, 0, NoKernelsProfiled, "update Nsight Compute"),
        (texts.DRIVER_MISMATCH, 1, DriverMismatch, "update the driver"),
        (texts.OLD_FOR_GPU, 0, DriverMismatch, "install a newer one"),
        (WSL, 0, DriverMismatch, "Windows"),
        (STUB, 1, DriverMismatch, "LD_LIBRARY_PATH"),
        (texts.LIBRARY_NOT_LOADED, 9, LibraryNotLoaded, "without the sandbox"),
        (texts.BUSY, 9, ProfilerBusy, "dcgmi profile --pause"),
        (texts.LOCK, 9, ProfilerBusy, "TMPDIR"),
        (texts.UNKNOWN_DEVICE, 9, LogError, "install the newest ncu"),
        (texts.FAILED_KERNEL, 15, LogError, "volta_h884gemm_128x256_ldg8_nn"),
        (METRIC, 0, LogError, "sm__none.sum"),
        (texts.UNKNOWN_OPTION.format("--attach"), 1, LogError, "--attach"),
    ],
)
def test_every_text_has_its_class_and_one_line_with_the_remedy(
    text: str, code: int, kind: type[NcuFailed], remedy: str
) -> None:
    error = told(text, code)
    assert type(error) is kind
    assert remedy in str(error)
    assert "\n" not in str(error)
    assert "ERR_NVGPUCTRPERM" not in str(error)


def test_a_good_run_is_no_failure() -> None:
    log = '==PROF== Profiling "a" - 0: 0%....50%....100% - 9 passes\n==PROF== Report: /r.ncu-rep\n'
    assert told(log) is None
    assert told(log, tail="a warning of some library\n==WARNING== nothing to speak of") is None


def test_what_is_said_before_the_log_is_opened_counts_too() -> None:
    assert type(told("", 1, tail=f"hello\n{texts.DRIVER_MISMATCH}\n")) is DriverMismatch


def test_the_profiled_programs_own_output_is_not_taken_for_ncus() -> None:
    assert told("", 0, tail="my log: LibraryNotLoaded, and No kernels were profiled") is None


def test_a_program_that_failed_tells_its_own_line() -> None:
    code = "==ERROR== The application returned an error code (1).\n" + texts.NO_KERNELS
    error = told(code, 1, outcome={"error": "out of GPU memory: 12 of 81920 MiB were free\nbefore it"})
    assert type(error) is ChildFailed
    assert str(error).endswith("out of GPU memory: 12 of 81920 MiB were free before it")
    assert "ncu said" not in str(error)
    both = told(texts.FAILED_KERNEL, 15, outcome={"error": "GpuLost: CUDA_ERROR_LAUNCH_FAILED"})
    assert type(both) is ChildFailed
    assert 'CUDA_ERROR_LAUNCH_FAILED (ncu said: Failed to profile "volta_h884gemm' in str(both)
    silent = told(code, 1, tail="Traceback ...\nImportError: no module\n", outcome={})
    assert type(silent) is ChildFailed
    assert "ended with code 1 (ImportError: no module)" in str(silent)
    assert "SIGSEGV" in str(told("==ERROR== The application returned an error code (-11).", 1, outcome={}))


def test_a_program_that_ncu_ended_itself_is_not_blamed() -> None:
    log = "==PROF== Trying to shutdown target application\n==ERROR== The application returned an error code (9).\n"
    assert type(told(log, 9, outcome={})) is LogError


@pytest.mark.parametrize("code", [-11, -6, -9, 139, 134, 137])  # those above 128 by the shell script around it
def test_a_signal(code: int) -> None:
    error = told("", code, tail="something\nlast words\n", outcome={})
    assert type(error) is NcuCrashed
    assert "was ended by SIG" in str(error)
    assert "(last words)" in str(error)


def test_no_end_in_time() -> None:
    error = told("", None, outcome={})
    assert type(error) is NcuHung
    assert "within 60 s" in str(error)
    assert "wait for another" not in str(error)
    slow = told(texts.SLOW, None, outcome={})
    assert type(slow) is NcuHung
    assert "it may wait for another" in str(slow)
    assert told(texts.SLOW + "100% - 9 passes\n") is None  # slow, but it came to an end
    assert profiled_count(texts.SLOW) == 1
    assert type(told(texts.BUSY, None, outcome={})) is ProfilerBusy  # what it said tells more than that it hung


def test_a_good_end_without_a_report() -> None:
    assert "wrote no report" in str(told("", 0, report_exists=False))
    assert "exit code 3" in str(told("", 3, report_exists=False))


def test_how_many_kernels_ncu_says_it_profiled() -> None:
    log = (
        '==PROF== Profiling "a "b" <c>" - 0: 0%....100% - 1 pass\n==PROF== Profiling "a" - 1 (2/2): 0%... - 31 passes\n'
    )
    assert profiled_count(CONNECTED + log) == 2
    assert profiled_count(CONNECTED) is None
    assert profiled_count(CONNECTED + texts.RANGE_PASS.format(1) + "\n" + texts.RANGE_PASS.format(2)) == 1


@pytest.mark.parametrize(
    ("params", "in_docker", "word"),
    [
        ("RmProfilingAdminOnly: 1", False, "run as root"),
        ("RmProfilingAdminOnly: 1", True, "--cap-add=SYS_ADMIN"),
        ("RmProfilingAdminOnly: 0", False, "run as root"),  # the driver refused all the same
        (None, True, "--cap-add=SYS_ADMIN"),
    ],
)
def test_the_remedy_of_a_refusal_fits_the_place(tmp_path: Path, params: str | None, in_docker: bool, word: str) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("CapEff:\t0000000000000000\n")
    if params is not None:
        (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
        (tmp_path / "proc/driver/nvidia/params").write_text(params + "\n")
        (tmp_path / "proc/driver/nvidia/version").write_text(
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27\n"
        )
    if in_docker:
        (tmp_path / ".dockerenv").touch()
    line = permission.forbidden_line(tmp_path)
    assert word in line
    assert "\n" not in line
