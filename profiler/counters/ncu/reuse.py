"""Kernels that are the same need not be replayed again: one of each is, and stands for the others.

    1. every kernel, its duration alone (one pass)          ->  the sequence (name, grid, block, duration)
    2. one kernel of each launch configuration, all counters ->  the counters of one of each (name, grid, block)

ncu tells launch configurations apart by grid, block and shared memory, not by name, so kernels that share one need
several rounds. Kernels that look the same but take different times are not the same (their inputs' shapes differ, say):
one such group, and the whole engine is profiled in full.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cotenant.profiler.counters.metrics import DURATION
from cotenant.profiler.counters.ncu.command import LONGEST_PATTERN, Selection
from cotenant.profiler.counters.reports.report import Workload

SPREAD_MAX_RATIO = 1.10  # longest over shortest duration of kernels taken for the same
ROUNDS_MAX = 4  # each starts the program anew
SAVED_MIN_RATIO = 0.5  # of the kernels; below it the second start costs more than it saves

Shape = tuple[int, int, int] | None
Key = tuple[str, Shape, Shape]


def key_of(kernel: Workload) -> Key:
    """Return what makes kernels the same: name, grid and block."""
    return kernel.name, kernel.grid, kernel.block


def groups(kernels: Sequence[Workload]) -> dict[Key, list[int]]:
    """Return the indices of each group of kernels that look the same, in order."""
    found: dict[Key, list[int]] = defaultdict(list)
    for index, kernel in enumerate(kernels):
        found[key_of(kernel)].append(index)
    return dict(found)


def doubtful(kernels: Sequence[Workload]) -> str | None:
    """Return why groups cannot stand for their members, or None if they can."""
    for (name, _, _), indices in groups(kernels).items():
        durations_ns = [kernels[index].metrics[DURATION] for index in indices]
        if max(durations_ns) > SPREAD_MAX_RATIO * min(durations_ns):
            told = f"{len(indices)} kernels {name[:60]} of one grid and block take {min(durations_ns):.0f} to"
            return f"{told} {max(durations_ns):.0f} ns"
    return None


def planned(kernels: Sequence[Workload]) -> tuple[Selection, ...] | str:
    """Return the rounds that measure one kernel of each group, or why they are not worth it."""
    missing, replays = set(groups(kernels)), 0
    rounds: list[Selection] = []
    names: tuple[str, ...] = ()
    while missing:
        if len(rounds) == ROUNDS_MAX:
            return f"its kernels share grids and blocks so that more than {ROUNDS_MAX} runs would be needed"
        covered = _first_of_each(kernels, names)
        if not covered & missing:  # names hide each other: one alone cannot be hidden
            names = names[:1]
            covered = _first_of_each(kernels, names)
        selection = Selection(names)
        if len(selection.pattern().encode()) > LONGEST_PATTERN:
            return "the names of its kernels are too long for one command"
        rounds.append(selection)
        replays += len(covered)
        missing -= covered
        names = tuple(sorted({key[0] for key in missing}))
    if replays > SAVED_MIN_RATIO * len(kernels):
        return f"{replays} of its {len(kernels)} kernels would have to be replayed anyway"
    return tuple(rounds)


def combined(
    kernels: Sequence[Workload], measured: Mapping[Key, Workload]
) -> tuple[tuple[Workload, ...], list[int]] | None:
    """Return each kernel with its group's counters and its own duration, and whose measurement it carries.

    Returns:
        The kernels, and for each the index of the first of its group; None if a group was not measured.
    """
    found = groups(kernels)
    if not found.keys() <= measured.keys():
        return None
    whole = tuple(
        replace(kernel, metrics={**measured[key_of(kernel)].metrics, DURATION: kernel.metrics[DURATION]})
        for kernel in kernels
    )
    return whole, [found[key_of(kernel)][0] for kernel in kernels]


def _first_of_each(kernels: Sequence[Workload], names: Sequence[str]) -> set[Key]:
    """Return the groups that one round measures: of each launch configuration the first kernel of these names."""
    first: dict[tuple[Shape, Shape], Key] = {}
    for kernel in kernels:
        if not names or kernel.name in names:
            first.setdefault((kernel.grid, kernel.block), key_of(kernel))
    return set(first.values())
