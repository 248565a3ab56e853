"""Every word that a column may hold, with what it means; checks refuse any other."""

from collections.abc import Mapping
from dataclasses import dataclass

# what of a word is more than its meaning: a new kind of experiment or arm is a new line here, and nothing else of
# derivation or verdicts


@dataclass(frozen=True)
class Kind:
    """One kind of experiment.

    Attributes:
        quads: It compares blocks in quads, so that each tenant has a slowdown.
        beside: Tenants run beside each other on purpose, which tells something only if lanes do run side by side.
        fills_lanes: Every active lane is kept two deep: a lane that waits, or no gain, says something.
        open_loop: Requests arrive by themselves, and what is known at dispatch is logged.
    """

    meaning: str
    quads: bool = False
    beside: bool = False
    fills_lanes: bool = False
    open_loop: bool = False


@dataclass(frozen=True)
class Arm:
    """What runs in a block.

    Attributes:
        role: Of its executions that ran inside the window.
        windowed: Whether those that ran outside the window are `warmup` and `tail` instead.
        in_quads: Whether its blocks belong to quads.
        treated: Whether it is the side of a quad that is compared with the solo side.
        together: Whether all tenants run, so that a concurrency gain can be told.
        open_loop: Whether executions are batches of requests, with dispatches logged.
        pattern: Of the solo profile that its executions make; None if they make none.
    """

    meaning: str
    role: str
    windowed: bool = True
    in_quads: bool = False
    treated: bool = False
    together: bool = False
    open_loop: bool = False
    pattern: str | None = None


def meanings(words: Mapping[str, Kind] | Mapping[str, Arm]) -> dict[str, str]:
    """Return word -> what it means."""
    return {word: facts.meaning for word, facts in words.items()}


DEVICE_KINDS = {
    "cpu": "cores of a host; lanes are processes",
    "gpu": "an NVIDIA GPU",
    "simulated": "a device file in virtual time",
}
KINDS = {
    "solo": Kind("one engine back to back, every other lane idle", fills_lanes=True),
    "pair": Kind(
        "two tenants side by side against each alone, in ABBA quads", quads=True, beside=True, fills_lanes=True
    ),
    "set": Kind("more than two tenants side by side", quads=True, beside=True, fills_lanes=True),
    "offset_sweep": Kind("a pair at planned offsets", quads=True, beside=True),
    "chain": Kind("executions that overlap like links of a chain", quads=True, beside=True),
    "sequential": Kind("tenants in turns on purpose"),
    "serving": Kind("open-loop arrivals with dynamic batching", beside=True, open_loop=True),
    "null": Kind("the second tenant is loaded and idle: nothing must be found", quads=True, fills_lanes=True),
    "self_test": Kind("two half loads: do lanes run side by side or take turns?"),
    "sensitivity": Kind("an engine beside a probe of known intensity", quads=True, beside=True, fills_lanes=True),
    "imported": Kind("another tool's: its estimates in slowdowns, or executions from its timeline", beside=True),
}
ROLES = {
    "main": "beside others, within the block's window or across its edge",
    "solo": "alone",
    "canary": "of a control inside another experiment, or of the self-test",
    "null": "beside an idle tenant",
    "warmup": "ended before the window began: it led in to what counts",
    "tail": "began after the window had closed: it kept a lane busy until all that counts had ended",
}
UNCOUNTED_ROLES = {role: ROLES[role] for role in ("warmup", "tail")}
ARMS = {
    "solo": Arm("one tenant alone, as part of a quad", "solo", in_quads=True),
    "co_run": Arm("all tenants side by side", "main", in_quads=True, treated=True, together=True),
    "null": Arm("one tenant beside an idle one", "null", in_quads=True, treated=True),
    "profile": Arm("one block of a solo profile", "solo", pattern="back_to_back"),
    "sequential": Arm("tenants one at a time, in turns", "solo", pattern="interleaved"),
    "serving": Arm("requests as they arrive", "main", open_loop=True),
    "self_test": Arm("one burst of the self-test", "canary", windowed=False),
    "imported": Arm("tenants beside each other on the timeline of another tool", "main"),
}
CENSORED = {
    "none": "start and end lie in the block's window",
    "left": "the start lies before it",
    "right": "the end lies after it",
    "both": "start and end lie outside it",
}
PATTERNS = {"back_to_back": "the engine alone, again and again", "interleaved": "the deployed engines in turn"}
STOP_REASONS = {"narrow": "the interval became narrow enough", "cap": "the last look was reached"}
SOURCES = {"measured": "measured by cotenant", "imported": "taken over from another tool"}
COUNTER_SOURCES = {
    "ncu": "Nsight Compute",
    "gpm": "GPU performance monitoring through NVML",
    "analytic": "operator costs over measured time, against measured peaks",
    "probe": "slowdown of a calibrated probe beside the engine",
    "simulated": "the device file",
    "nvml": "the driver's utilisation through NVML, as nvidia-smi shows it",
}
AGGREGATIONS = {
    "kernel_wmean": "mean over kernels, weighted by duration",
    "range": "one value over the execution",
    "equivalent": "intensity of a probe that does the same to a full probe and suffers the same beside one",
}
REPLAY_MODES = {
    "kernel": "each kernel was replayed by itself",
    "app_range": "the whole execution was run again for each pass",
}
THROUGHPUT_MARKS = {
    "fallback": "a counter source listed before this one was not available",
    "foreign_load": "another process used the device meanwhile",
}
PROBES = {
    "compute": "arithmetic of the compute units",
    "cache": "traffic within the last-level cache",
    "dram": "traffic to memory",
}
PRECISIONS = {"fp32": "32-bit floats", "fp16": "16-bit floats"}
SUBJECTS = {"experiment": "a finished experiment", "counters": "counters of one engine, profiled apart"}
OUTCOMES = {
    "served": "its batch ran to its end",
    "unfinished": "still queued when the run ended",
    "dropped": "its tenant's queue was full when it arrived",
}
VERDICTS = {
    "ok": "nothing to say against it",
    "marked": "usable with the reasons in mind",
    "failed": "not what it claims",
}

GATE_MARKS = {  # what telemetry says against the time since the sample before, see gates.py
    "throttled": "the driver held the clocks down: power, heat or a hardware slowdown",
    "clock_drop": "the clock lay well below the highest that this experiment saw while the device worked",
    "foreign_load": "processes of others used the device, or the cores of the machine",
    "stolen": "other guests of the host took time of the cores",
    "quota_throttled": "a quota on the cores' time held our processes back",
    "hot": "the device was a few degrees from slowing down",
}
MARKS = {
    "cold": "the tenant's first execution of a block; counts in no estimate",
    **GATE_MARKS,
}
REQUEST_MARKS = {
    "lagged": "the host noticed its arrival later than allowed",
    "late": "served after its deadline",
    "warmup": "arrived before the window began",
}
PROFILE_MARKS = {
    "too_few_samples": "fewer than 256 executions that count",
    "too_few_blocks": "fewer than 8 blocks",
}
NULL_REASONS = {
    "not_measured": "nothing on this device measures it",
    "not_reported": "the runner or the model does not tell",
    "not_applicable": "the question does not arise for this row",
    "no_profile": "the engine has no solo profile on this device in this isolation and share",
    "no_samples": "no execution counts",
    "too_few_samples": "fewer executions than this number needs",
    "too_few_blocks": "fewer blocks or quads than this number needs",
    "no_null_experiment": "the device has no null experiment with bounds",
    "first_sample": "it is of the time since the sample before, and the first has none before it",
    "closed_loop": "nothing arrives: lanes are refilled as they complete, so there is no load and no queue",
    "not_served": "the request was dropped or never finished; its outcome says which",
    "load_changes": "the load changes on purpose during the run",
    "too_coarse": "the clock that measures it ticks too coarsely: it read 0",
    "no_peak": "the device's peak was not measured",
    "no_cache_size": "the size of the device's last-level cache is not known",
    "exceeds_peak": "the value would exceed the measured peak, so cost model or peak is wrong for it",
    "empty_window": "the tenants of the block never ran at once",
    "differs": "experiments disagree on it",
    "whole_device": "the whole device was granted",
    "above_peak": "replays of one kernel contradict each other: more than 110 percent of the peak",
    "not_in_set": "the set of counters that was read together does not hold it",
    "no_counter": "this chip has no such counter",
    "kernels_apart": "kernels were profiled one by one, so the time between them is not known",
    "other_precision": "the device's peak was measured in another precision than the engine's",
    "not_calibrated": "no probe beside probes of rising intensity says what this slowdown amounts to",
    "no_full_probe": "the engine did not run beside this probe at full intensity",
    "above_calibration": "the engine does more than the full probe does to itself",
    "below_resolution": "the effect cannot be told from none at this measurement's precision; that is not 0",
    "failed_experiment": "its experiment failed: it is not what it claims",
    "too_few_engines": "fewer than 3 engines have both numbers",
    "no_spread": "all engines have the same number, so there is no order to compare",
    "one_range": "the execution was profiled as one range, so its kernels are not known",
    "no_counters": "the chosen counter source and set does not tell it for an engine that ran",
    "no_arrival": "a tenant had no arrival yet, so its rate was not known",
    "no_queue": "no request was queued",
}
