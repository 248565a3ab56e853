"""The exact arguments for one run of ncu over one engine.

Source: Nsight Compute, "Nsight Compute CLI", Command Line Options; each option is looked up in `--help` of this ncu.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cotenant.profiler.counters.metrics import MetricSet
from cotenant.profiler.counters.ncu.errors import NcuMissing
from cotenant.profiler.counters.ncu.program import Program

DOMAIN, RANGE = "cotenant", "profile"  # of the NVTX range that the child puts around one execution
SPECIAL = set("^$\\.*+?()[]{}|")  # of ECMAScript's regular expressions
LONGEST_PATTERN = 100_000  # Linux takes 131072 bytes in one argument (MAX_ARG_STRLEN)
UPDATE = "update Nsight Compute"
# What older versions lack and we can do without: they do by default what the option asks for, or more than is needed.
# Without --nvtx-push-pop-scope ranges hold for the thread that opened them, and the child launches from that thread.
DISPENSABLE = {
    "--config-file",  # versions without it read no such file
    "--nvtx-push-pop-scope",
    "--disable-extra-suffixes",  # metrics are given with their suffixes
    "--import-sass",
    "--apply-rules",
    "--rename-kernels",
}


@dataclass(frozen=True)
class Selection:
    """Which launches within the range are profiled: the first of each launch configuration.

    A configuration is grid, block and shared memory, not the kernel's name (CLI manual, --filter-mode), so kernels that
    share one need runs of their own.

    Attributes:
        names: Only kernels of these names, as a report tells them; () = all.
    """

    names: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """Return the options that select; [] is never returned."""
        chosen = ["--filter-mode", "per-launch-config", "--launch-count", "1"]
        if self.names:
            chosen += ["--kernel-name-base", "demangled", "--kernel-name", f"regex:{self.pattern()}"]
        return chosen

    def pattern(self) -> str:
        """Return a regular expression that matches exactly the names."""
        return "^(" + "|".join("".join(f"\\{c}" if c in SPECIAL else c for c in name) for name in self.names) + ")$"


def command(
    program: Program,
    counter_set: MetricSet,
    metrics: Sequence[str],
    report: Path,
    log: Path,
    profiled: Sequence[str],
    selection: Selection | None = None,
) -> list[str]:
    """Return program and arguments.

    Args:
        metrics: Of the set, those that the chip has.
        report: Where ncu writes its report, ending in .ncu-rep.
        log: Where it writes what it says.
        profiled: The program that executes the engine, with its arguments.
        selection: Which launches are profiled; None = all within the range.

    Raises:
        NcuMissing: This version lacks an option that is needed.
    """
    options = [
        *("--config-file", "off"),
        *("--target-processes", "application-only"),
        "--nvtx",
        *("--nvtx-include", f"{DOMAIN}@{RANGE}/"),  # the slash: push/pop ranges
        *("--nvtx-push-pop-scope", "process"),
        *("--replay-mode", counter_set.replay_mode),
        *("--clock-control", counter_set.clock_control),
        *("--cache-control", counter_set.cache_control),
        *("--metrics", ",".join(metrics)),
        "--disable-extra-suffixes",
        *("--import-sass", "no"),
        *("--apply-rules", "no"),
        *("--rename-kernels", "off"),  # else names that differ may be shortened to the same
        *([] if selection is None else selection.arguments()),
        "--force-overwrite",
        *("--export", str(report).replace("%", "%%")),  # % begins a macro in this option
        *("--log-file", str(log)),
    ]
    return [str(program.path), *_known(program, options, counter_set), "--", *profiled]


def _known(program: Program, options: Sequence[str], counter_set: MetricSet) -> list[str]:
    """Leave out what this version lacks and can do without."""
    kept: list[str] = []
    keeps = True
    for each in options:
        if each.startswith("--"):
            keeps = each in program.options
            if not keeps and each not in DISPENSABLE:
                raise NcuMissing(f"ncu {program.version} ({program.path}) lacks the option {each}; {UPDATE}")
        if keeps:
            kept.append(each)
    if counter_set.replay_mode not in program.help:
        raise NcuMissing(
            f"ncu {program.version} ({program.path}) lacks --replay-mode {counter_set.replay_mode}; {UPDATE}"
        )
    return kept
