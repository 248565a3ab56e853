"""A program `ncu` for PATH: it checks its arguments, runs the profiled program, and says, writes and exits as ncu does.

    stand_in = install(tmp_path / "bin")
    environment = {**os.environ, **plugged_in(tmp_path), "PATH": f"{stand_in.parent}:{os.environ['PATH']}",
                   "NCU_STAND_IN": "permission"}

What happens is chosen by $NCU_STAND_IN, one of MODES; each call's arguments are appended to file $NCU_STAND_IN_ARGV.
What is profiled is what the program executed last, as the runner of `plugin_runner` tells; numbers are made up, the
same in every run. What it says are ncu's own texts (`ncu_texts`).
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ncu_texts import FAILED_KERNEL, FAILURES, NO_KERNELS, NO_RANGES, RANGE_PASS, UNKNOWN_OPTION

MODES = (
    *("ok", "permission", "no_kernels", "cut", "fewer", "garbage", "empty", "no_report", "not_finite"),
    *("driver_mismatch", "library_not_loaded", "busy", "lock", "old_for_gpu", "unknown_device", "failed_kernel"),
    *("crash", "hang", "hang_deaf", "unlike", "nameless", "not_run"),
)
VERSION = "2025.3.1.0"
# Options of the CLI manual (Nsight Compute 2025, "Command Line Options") that take a value, and some that take none.
VALUED = (
    *("--mode", "--port", "--config-file", "--config-file-path", "--check-exit-code", "--target-processes"),
    *(
        "--nvtx-push-pop-scope",
        "--target-processes-filter",
        "--devices",
        "--filter-mode",
        "--kernel-id",
        "--kernel-name",
    ),
    *("--kernel-name-base", "--rename-kernels", "--launch-count", "--launch-skip", "--range-filter", "--kill"),
    *("--replay-mode", "--app-replay-match", "--app-replay-mode", "--graph-profiling", "--set", "--section"),
    *("--apply-rules", "--import-sass", "--import-source", "--metrics", "--nvtx-include", "--nvtx-exclude"),
    *("--cache-control", "--clock-control", "--pipeline-boost-state", "--profile-from-start", "--log-file", "--export"),
    *("--import", "--page", "--print-units"),
)
PLAIN = (
    "--help",
    "--version",
    "--nvtx",
    "--disable-extra-suffixes",
    "--force-overwrite",
    "--csv",
    "--print-fp",
    "--quiet",
)
SHORT = {"--export": "o", "--force-overwrite": "f", "--import": "i", "--kernel-name": "k", "--launch-count": "c"}
VALUES = {
    "--replay-mode": ("kernel", "application", "range", "app-range"),
    "--cache-control": ("all", "none"),
    "--clock-control": ("base", "none", "reset"),
    "--filter-mode": ("global", "per-gpu", "per-launch-config"),
    "--target-processes": ("application-only", "all"),
    "--nvtx-push-pop-scope": ("thread", "process"),
}
LATER = ("--nvtx-push-pop-scope", "--import-sass", "--disable-extra-suffixes", "--rename-kernels")  # not in OLD
OLD = "2020.3.1.0"
PASSES = {"kernel": 9, "app-range": 1}


def install(folder: Path, version: str = VERSION) -> Path:
    """Write the program into a folder for PATH and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ncu"
    here = str(Path(__file__).parent)
    path.write_text(
        f"#!{sys.executable} -P\nimport sys\nsys.path.insert(0, {here!r})\n"
        f"from ncu_stand_in import main\nsys.exit(main(sys.argv[1:], {version!r}))\n"
    )
    path.chmod(0o755)
    return path


def main(arguments: Sequence[str], version: str) -> int:
    _record("NCU_STAND_IN_ARGV", json.dumps(list(arguments)))
    options, program = _parsed(arguments, version)
    if isinstance(options, str):
        print(options)
        return 1
    if "--version" in options:
        print(f"NVIDIA (R) Nsight Compute Command Line Profiler\nVersion {version} (build 36398880) (public-release)")
        return 0
    if "--help" in options:
        print(_help(version))
        return 0
    if "--import" in options:
        return _print_report(Path(options["--import"]))
    mode = os.environ.get("NCU_STAND_IN", "ok")
    assert mode in MODES, mode
    log = Path(options["--log-file"]) if "--log-file" in options else None
    text, code = _profile(options, program, mode, version)
    if log is None:
        print(text)
    else:
        log.write_text(text + "\n")
    return code


def _parsed(arguments: Sequence[str], version: str) -> tuple[dict[str, str] | str, list[str]]:
    known = {*VALUED, *PLAIN} - (set(LATER) if version == OLD else set())
    options: dict[str, str] = {}
    at = 0
    while at < len(arguments):
        name = arguments[at]
        if name == "--":
            return options, list(arguments[at + 1 :])
        if name not in known:
            return UNKNOWN_OPTION.format(name), []
        at += 1
        options[name] = ""
        if name in VALUED:
            options[name] = arguments[at]
            at += 1
            if name in VALUES and options[name] not in VALUES[name]:
                return f"==ERROR== the argument ('{options[name]}') for option '{name}' is invalid.", []
    return options, []


def _help(version: str) -> str:
    names = [name for name in (*VALUED, *PLAIN) if version != OLD or name not in LATER]
    shown = {name: f"-{SHORT[name]} [ {name} ]" if name in SHORT else name for name in names}
    lines = [f"  {shown[n]} arg  {' '.join(VALUES.get(n, ()))}" if n in VALUED else f"  {shown[n]}" for n in names]
    return "\n".join(["usage: ncu [options] [program] [program-arguments]", *lines])


def _profile(options: dict[str, str], program: Sequence[str], mode: str, version: str) -> tuple[str, int]:
    if mode == "crash":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode.startswith("hang"):
        _hang(deaf=mode == "hang_deaf")
    said = [f"==PROF== Connected to process {os.getpid()} ({program[0]})"]
    if mode in ("driver_mismatch", "not_run"):  # before the program does anything
        return (FAILURES[mode][0], FAILURES[mode][1]) if mode in FAILURES else ("", 0)
    kernels: list[dict[str, Any]] = []
    for _ in range(PASSES[options["--replay-mode"]] if options["--replay-mode"] == "app-range" else 1):
        code, kernels = _executed(program)
        if code:
            shown = code if code > 0 else 128 - code
            return "\n".join([*said, f"==ERROR== The application returned an error code ({shown}).", NO_KERNELS]), shown
    nothing = NO_RANGES if "range" in options["--replay-mode"] else NO_KERNELS
    if mode in FAILURES:
        text, code = (nothing, 0) if mode == "no_kernels" else FAILURES[mode]
        return "\n".join([*said, text]), code
    if mode == "unlike":
        kernels = [
            {**each, "duration_ns": each["duration_ns"] * (1 + 0.2 * index)} for index, each in enumerate(kernels)
        ]
    in_range = options.get("--nvtx-include") == "cotenant@profile/" and "--nvtx" in options
    if mode == "nameless" and "--kernel-name" in options:  # as where names are told in one way and filtered in another
        in_range = False
    kernels = _selected(kernels, options) if in_range else []
    if not kernels:
        return "\n".join([*said, nothing]), 0
    said += _write(kernels, options, mode, version)
    said += ["==PROF== Disconnected from process 4242"]
    if mode == "failed_kernel":
        return "\n".join([*said, FAILED_KERNEL]), 15
    return "\n".join(said), 0


def _executed(program: Sequence[str]) -> tuple[int, list[dict[str, Any]]]:
    from plugin_runner import LAUNCHES

    with tempfile.TemporaryDirectory() as folder:
        launches = Path(folder) / "launches.json"
        code = subprocess.run(program, env={**os.environ, LAUNCHES: str(launches)}, check=False).returncode
        return code, json.loads(launches.read_text()) if launches.exists() else []


def _selected(kernels: Sequence[dict[str, Any]], options: dict[str, str]) -> list[dict[str, Any]]:
    """Apply launch filters as the CLI manual says: per launch configuration, which names do not belong to."""
    pattern = options.get("--kernel-name", "regex:").removeprefix("regex:")
    matching = [each for each in kernels if re.search(pattern, each["name"])]
    if options.get("--filter-mode") != "per-launch-config":
        return matching
    count = int(options["--launch-count"])
    counted: dict[str, int] = {}
    kept = []
    for each in matching:
        config = json.dumps([each["grid"], each["block"]])
        counted[config] = counted.get(config, 0) + 1
        if counted[config] <= count:
            kept.append(each)
    return kept


def _write(kernels: Sequence[dict[str, Any]], options: dict[str, str], mode: str, version: str) -> list[str]:
    """Write the report and return what is said of it."""
    from ncu_reports import Written, write_report

    metrics = options["--metrics"].split(",")
    workloads = [workload(each, metrics) for each in kernels]
    passes = PASSES[options["--replay-mode"]] if len(metrics) > 1 else 1
    said = [
        f'==PROF== Profiling "{each.name[:30]}" - {i}: 0%....100% - {passes} passes' for i, each in enumerate(workloads)
    ]
    if options["--replay-mode"] == "app-range":
        total = {"name": "range", "grid": None, "block": None, "duration_ns": sum(k["duration_ns"] for k in kernels)}
        workloads = [workload(total, metrics)]
        said = [RANGE_PASS.format(number) for number in range(1, passes + 1)]
    if mode == "fewer":
        workloads = workloads[:-1]
    if mode == "not_finite":
        workloads[0].metrics[metrics[-1]] = float("nan")  # type: ignore[index]
    path = Path(options["--export"].replace("%%", "%"))
    if mode == "no_report":
        return said
    write_report(path, workloads, Written(version=version, passes=passes))
    content = path.read_bytes()
    changed = {"cut": content[: len(content) * 2 // 5], "garbage": b"\x00garbage\xff" * 99, "empty": b""}
    path.write_bytes(changed.get(mode, content))
    return [*said, f"==PROF== Report: {path}"]


def workload(kernel: dict[str, Any], metrics: Sequence[str]) -> Any:
    """Return a kernel with made-up counters: the same for the same kernel, and possible on a GPU."""
    from cotenant.profiler.counters.reports.report import Workload

    grid, block = kernel["grid"], kernel["block"]
    values = {name: made_up(name, kernel) for name in metrics}
    return Workload(
        kernel["name"], tuple(grid) if grid else None, tuple(block) if block else None, values, is_range=grid is None
    )


def made_up(metric: str, kernel: dict[str, Any]) -> float:
    """Return a metric's value for a kernel, of its name, grid and duration alone."""
    duration_ns = float(kernel["duration_ns"])
    if metric == "gpu__time_duration.sum":
        return duration_ns
    if metric.endswith("per_second"):
        return 1.2e9
    if "cycles_elapsed" in metric or metric.endswith("cycles_active.avg"):
        return duration_ns * 1.2
    if ".pct" in metric:
        return 5.0 + sum(map(ord, metric + str(kernel["name"]))) % 90
    return duration_ns * 32  # bytes and sectors


def _print_report(path: Path) -> int:
    from ncu_reports import raw_csv

    try:
        print(raw_csv(path), end="")
    except Exception:
        print(f"==ERROR== Failed to read report {path}.", file=sys.stderr)
        return 1
    return 0


def _hang(deaf: bool) -> None:
    """Hang together with a program of the same group; deaf = only SIGKILL helps."""
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    beside = subprocess.Popen(["/bin/sleep", "3600"])
    _record("NCU_STAND_IN_PIDS", json.dumps([os.getpid(), beside.pid]))
    time.sleep(3600)


def _record(variable: str, line: str) -> None:
    if variable in os.environ:
        with Path(os.environ[variable]).open("a") as file:
            file.write(line + "\n")
