"""Every word that a column may hold, with what it means; checks refuse any other."""

DEVICE_KINDS = {
    "cpu": "cores of a host; lanes are processes",
    "gpu": "an NVIDIA GPU",
    "simulated": "a device file in virtual time",
}
KINDS = {
    "solo": "one engine back to back, every other lane idle",
    "pair": "two tenants side by side against each alone, in ABBA quads",
    "set": "more than two tenants side by side",
    "offset_sweep": "a pair at planned offsets",
    "chain": "executions that overlap like links of a chain",
    "sequential": "tenants in turns on purpose",
    "serving": "open-loop arrivals with dynamic batching",
    "null": "the second tenant is loaded and idle: nothing must be found",
    "self_test": "two half loads: do lanes run side by side or take turns?",
    "sensitivity": "an engine beside a probe of known intensity",
}
ROLES = {
    "main": "beside others, within the block's window or across its edge",
    "solo": "alone",
    "canary": "of a control inside another experiment, or of the self-test",
    "null": "beside an idle tenant",
    "warmup": "ended before the window began: it led in to what counts",
    "tail": "began after the window had closed: it kept a lane busy until all that counts had ended",
}
ARMS = {
    "solo": "one tenant alone, as part of a quad",
    "co_run": "all tenants side by side",
    "null": "one tenant beside an idle one",
    "profile": "one block of a solo profile",
    "self_test": "one burst of the self-test",
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
}
AGGREGATIONS = {"kernel_wmean": "mean over kernels, weighted by duration", "range": "one value over the execution"}
PRECISIONS = {"fp32": "32-bit floats", "fp16": "16-bit floats"}
SUBJECTS = {"experiment": "a finished experiment", "engine": "a built engine"}
VERDICTS = {
    "ok": "nothing to say against it",
    "marked": "usable with the reasons in mind",
    "failed": "not what it claims",
}

MARKS = {
    "cold": "the tenant's first execution of a block; counts in no estimate",
}
PROFILE_MARKS = {
    "too_few_samples": "fewer than 256 executions that count",
    "too_few_blocks": "fewer than 8 blocks",
}
NULL_REASONS = {
    "not_measured": "nothing on this device measures it",
    "not_reported": "the runner or the model does not tell",
    "not_applicable": "the question does not arise for this row",
    "no_profile": "the engine has no solo profile on this device in this isolation",
    "no_samples": "no execution counts",
    "too_few_samples": "fewer executions than this number needs",
    "too_few_blocks": "fewer blocks or quads than this number needs",
    "no_null_experiment": "the device has no null experiment with bounds",
    "closed_loop": "dispatch lies one execution before start, so nothing is known at dispatch",
    "no_peak": "the device's peak was not measured",
    "no_cache_size": "the size of the device's last-level cache is not known",
    "exceeds_peak": "the value would exceed the measured peak, so cost model or peak is wrong for it",
    "empty_window": "the tenants of the block never ran at once",
    "differs": "experiments disagree on it",
    "whole_device": "the whole device was granted",
}
