"""What can go wrong under Nsight Compute; every message is one line: what, why, and what to do."""

from cotenant.models.errors import WorkError


class NcuFailed(WorkError):
    """Profiling one engine gave no numbers that can be believed."""


class NcuMissing(NcuFailed):
    """There is no ncu that can be run, or it is too old for what is needed."""


class CountersForbidden(NcuFailed):
    """The driver does not let this user read the counters."""


class DriverMismatch(NcuFailed):
    """This ncu and the driver do not fit."""


class LibraryNotLoaded(NcuFailed):
    """ncu cannot reach the driver's profiling library, as in a gVisor sandbox."""


class ProfilerBusy(NcuFailed):
    """Another tool holds the counters, or another counter session of ours runs on this host."""


class NoKernelsProfiled(NcuFailed):
    """Nothing was profiled, whatever ncu's exit code says."""


class ChildFailed(NcuFailed):
    """The program that executes the engine failed."""


class NcuCrashed(NcuFailed):
    """A signal ended ncu."""


class NcuHung(NcuFailed):
    """ncu did not end within its time limit."""


class LogError(NcuFailed):
    """Any other `==ERROR==` of ncu, or no report at all."""
