"""The parts in order of value: what comes early is known even where time runs out."""

from cotenant.profiler.gpu_check.part import Part

DRIVER = ("pynvml", "cuda.bindings")
TESTS = (*DRIVER, "pytest", "pytest_timeout", "hypothesis", "psutil", "numpy")
CAMPAIGN = (*DRIVER, "torch", "numpy", "numba", "pandas", "pyarrow", "yaml", "pydantic", "nvtx", "psutil")
NETWORKS = (*CAMPAIGN, "onnx")

PARTS = (
    Part("environment", "driver, GPUs, NVML's facts, versions", "environment", needs_gpu=False, timeout_s=30),
    Part("driver-calls", "context, stream, event, our kernels, the timer's tick", "driver_calls", needs=DRIVER),
    Part("lane", "one lane: spans, gate, delays, gaps", "lane", needs=DRIVER),
    Part("bare-replay", "bare graph replays beside our lane: at most 1 % apart", "bare_replay", needs=DRIVER),
    Part("two-lanes", "two lanes: concurrency, one clock, self-pair", "two_lanes", needs=DRIVER),
    Part("mode-streams", "isolation mode streams: starts, observed, gain", "mode", "streams", DRIVER, timeout_s=60),
    Part("mode-processes", "the same of time-sliced processes", "mode", "processes", DRIVER, timeout_s=90),
    Part("mode-green-contexts", "the same of green-contexts", "mode", "green-contexts", DRIVER, timeout_s=60),
    Part("mode-mps", "the same of MPS", "mode", "mps", (*DRIVER, "psutil"), timeout_s=90),
    Part("contract", "the contract test on the runners that open", "tests", "contract", TESTS, timeout_s=118),
    Part("campaign-probes", "a short campaign of probes, and its dataset", "campaign", "probes", CAMPAIGN),
    Part("stamps", "event spans beside the global timer's and CUPTI's", "stamps", needs=DRIVER, timeout_s=90),
    Part("recordings", "raw stamps and anchors, for replay in tests", "recordings", needs=DRIVER, timeout_s=60),
    Part("tensorrt", "TensorRT: which, one engine built and run", "tensorrt", needs=(*DRIVER, "onnx", "numpy")),
    Part(
        "torch",
        "torch-cuda: captures, and results beside ONNX Runtime's",
        "tests",
        "torch",
        (*TESTS, "torch", "onnx", "onnxruntime"),
        timeout_s=110,
    ),
    Part("counters-probes", "Nsight Compute on probes: passes, seconds", "counters", "probes", CAMPAIGN, timeout_s=118),
    Part("counters-models", "the same on networks", "counters", "models", NETWORKS, timeout_s=118),
    Part("campaign-models", "a short campaign of networks in fp16", "campaign", "models", NETWORKS, timeout_s=118),
    Part("campaign-serving", "open-loop serving of two networks", "campaign", "serving", NETWORKS),
    Part("gpu-tests", "the tests marked gpu", "tests", "gpu", TESTS, timeout_s=118),
    Part("doctor", "what `cotenant doctor` tells", "doctor", needs=("click", "yaml"), needs_gpu=False, timeout_s=60),
)


def chosen(names: str) -> tuple[Part, ...]:
    """Return the parts of a list of names divided by commas, in our order; ValueError naming the unknown ones."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {part.name for part in PARTS}
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise ValueError(f"no part {', '.join(map(repr, unknown)) or 'is named'}; there are {', '.join(sorted(known))}")
    return tuple(part for part in PARTS if part.name in wanted)
