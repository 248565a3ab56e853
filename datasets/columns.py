"""The one table of columns: schema, validation and documentation of every table come from here (design section 5)."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from cotenant.datasets import words
from cotenant.datasets.verdicts import REASONS

SCHEMA_VERSION = "1.0"

WORD = pa.dictionary(pa.int32(), pa.string())  # few distinct values
TEXT = pa.string()
I64, I32, I16, F64, FLAG = pa.int64(), pa.int32(), pa.int16(), pa.float64(), pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
WORDS = pa.list_(pa.field("element", WORD, nullable=False))
IDS = pa.list_(pa.field("element", I64, nullable=False))
COUNTS = pa.list_(pa.field("element", I32, nullable=False))
PERCENTS = pa.list_(pa.field("element", F64, nullable=False))
SOME_TIMES = pa.list_(pa.field("element", I64))  # null elements: unknown ones among known ones
SOME_RATES = pa.list_(pa.field("element", F64))
WORD_MAP = pa.map_(pa.string(), pa.string())

UNIT_SUFFIXES = {
    "_ns": "ns",
    "_bytes": "bytes",
    "_pct": "percent",
    "_ratio": "ratio",
    "_count": "count",
    "_mhz": "MHz",
    "flop_per_s": "flop/s",
    "bytes_per_s": "bytes/s",
    "items_per_s": "items/s",
}
NAMED_UNITS = {  # the design's names without a suffix
    "fraction": "ratio",
    "offered_load": "ratio",
    "lanes": "count",
    "replay_passes": "count",
    "concurrency": "count",
    "batch_size": "count",
}


@dataclass(frozen=True)
class Column:
    """One column of one table.

    Attributes:
        unit: What a value counts; "" if it is no quantity, or a plain index.
        words: The only values allowed (of the list's elements, of the map's values).
        low, high: Range of a number, both ends allowed.
        refers_to: `table.column` whose values it repeats.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    nullable: bool = False
    words: Mapping[str, str] | None = None
    low: float | None = None
    high: float | None = None
    refers_to: str | None = None


@dataclass(frozen=True)
class Table:
    """One table: what a row is, what makes it unique (rows are sorted by that), and its columns.

    Attributes:
        large: It is streamed, experiment by experiment, and its null reasons stand in `experiments`.
    """

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    large: bool = False

    def column(self, name: str) -> Column:
        """Return a column by name; KeyError otherwise."""
        return {column.name: column for column in self.columns}[name]


def _text(name: str, meaning: str, nullable: bool = False, kind: pa.DataType = WORD) -> Column:
    return Column(name, kind, "", meaning, nullable)


def _one_of(name: str, words_: Mapping[str, str], meaning: str, nullable: bool = False) -> Column:
    return Column(name, WORD, "", meaning, nullable, words_)


def _refers(name: str, target: str, meaning: str, kind: pa.DataType = WORD) -> Column:
    return Column(name, kind, "", meaning, refers_to=target)


def _ns(name: str, meaning: str, nullable: bool = False, low: float | None = 0) -> Column:
    return Column(name, I64, "ns", meaning, nullable, low=low)


def _bytes(name: str, meaning: str, nullable: bool = False) -> Column:
    return Column(name, I64, "bytes", meaning, nullable, low=0)


def _count(name: str, meaning: str, nullable: bool = False, kind: pa.DataType = I64) -> Column:
    return Column(name, kind, "count", meaning, nullable, low=0)


def _index(name: str, meaning: str, nullable: bool = False, kind: pa.DataType = I32) -> Column:
    return Column(name, kind, "", meaning, nullable, low=0)


def _ratio(name: str, meaning: str, nullable: bool = True) -> Column:
    return Column(name, F64, "ratio", meaning, nullable, low=0)


def _pct(name: str, meaning: str) -> Column:
    return Column(name, F64, "percent", meaning, True, low=0, high=100)


def _rate(name: str, unit: str, meaning: str, nullable: bool = True) -> Column:
    return Column(name, F64, unit, meaning, nullable, low=0)


def _bounded(name: str, meaning: str) -> tuple[Column, ...]:
    return (
        _ratio(f"{name}_ratio", f"{meaning} (1.0 = the same)"),
        _ratio(f"{name}_lower_ratio", f"Lower bound of {name}_ratio"),
        _ratio(f"{name}_upper_ratio", f"Upper bound of {name}_ratio"),
    )


def _halves(name: str, meaning: str) -> tuple[Column, ...]:
    return tuple(
        _ns(f"{name}_{half}_half{end}_ns", f"{told}{meaning} in the {half} half of the window", True)
        for half in ("first", "second")
        for end, told in (("", ""), ("_lower", "Lower bound of the "), ("_upper", "Upper bound of the "))
    )


def _flag(name: str, meaning: str, nullable: bool = False) -> Column:
    return Column(name, FLAG, "", meaning, nullable)


NULLS = Column("null_reasons", WORD_MAP, "", "Column -> why it is null in this row", words=words.NULL_REASONS)
EXPERIMENT = _refers("experiment_id", "experiments.experiment_id", "Experiment")
DEVICE = _refers("device_id", "devices.device_id", "Device")
ENGINE = _refers("engine_id", "engines.engine_id", "Engine")
KIND = _one_of("kind", words.meanings(words.KINDS), "Kind of experiment")
ROW_KEYS = (EXPERIMENT, DEVICE, KIND)

DEVICES = Table(
    "devices",
    "device",
    ("device_id",),
    (
        _text("device_id", "GPU UUID, or digest of what identifies a CPU or simulated device"),
        _text("device_type", "What makes two devices interchangeable"),
        _one_of("kind", words.DEVICE_KINDS, "Kind of device"),
        _text("name", "Name of the product"),
        _count("sm_count", "Streaming multiprocessors; cores on a CPU", kind=I32),
        _bytes("l2_bytes", "L2 cache of a GPU; last-level cache of a CPU", True),
        _bytes("dram_bytes", "Size of its memory", True),
        _rate("datasheet_flop_per_s", "flop/s", "Peak arithmetic by its data sheet"),
        _rate("datasheet_dram_bytes_per_s", "bytes/s", "Peak memory traffic by its data sheet"),
        _rate("peak_flop_per_s", "flop/s", "Most that one lane's compute probe reached"),
        _rate("peak_cache_bytes_per_s", "bytes/s", "Most that one lane's cache probe reached"),
        _rate("peak_dram_bytes_per_s", "bytes/s", "Most that one lane's memory probe reached"),
        _ratio(
            "noise_floor_ratio",
            "How far null experiments' intervals reach from 1.00, root mean square, as a ratio of at least 1",
        ),
        _count("null_experiment_count", "Null experiments behind the noise floor", kind=I32),
        NULLS,
    ),
)

ENGINES = Table(
    "engines",
    "engine",
    ("engine_id",),
    (
        _text("engine_id", "Digest of what decides the engine"),
        _text("model", "Canonical name of the model with its options"),
        _text("family", "Family of the model"),
        _count("batch_size", "Items of one execution", kind=I32),
        _text("input_shapes", "JSON object: input -> shape", kind=TEXT),
        _one_of("precision", words.PRECISIONS, "Precision of weights and activations"),
        _text("runner", "Runner that built it"),
        _text("engine_kind", "Kind of engine file"),
        _text("build_target", "What an engine file depends on"),
        _index("build_index", "0, 1 ...: builds of the same engine told apart"),
        _text("source_sha256", "Digest of the model's content"),
        _text("engine_sha256", "Digest of what executes"),
        _bytes("engine_bytes", "Size of the files that execute, shared weights included"),
        _count("parameter_count", "Parameters of the architecture", True),
        _count("mac_count", "Multiply-accumulates of one execution", True),
        _count("flop_count", "Floating-point operations of one execution", True),
        _bytes("read_bytes", "Bytes one execution reads, by operator costs", True),
        _bytes("write_bytes", "Bytes one execution writes, by operator costs", True),
        _bytes("weight_bytes", "Bytes of its weights", True),
        NULLS,
    ),
)

SOLO_PROFILES = Table(
    "solo_profiles",
    "engine x device x isolation x share x pattern x condition",
    ("engine_id", "device_id", "isolation", "share_pct", "pattern", "condition"),
    (
        ENGINE,
        DEVICE,
        _text("isolation", "Isolation mode in force"),
        _pct("share_pct", "Part of the device granted"),
        _one_of("pattern", words.PATTERNS, "How executions followed each other"),
        _text("condition", "What was changed on purpose; slowdowns never refer to such a profile", True),
        _count("sample_count", "Executions that count: all but the first of each block"),
        _count("block_count", "Blocks with executions that count", kind=I32),
        _ns("span_min_ns", "Shortest span", True),
        _ns("span_p50_ns", "Median span", True),
        _ns("span_p50_lower_ns", "Lower bound of the median (block bootstrap)", True),
        _ns("span_p50_upper_ns", "Upper bound of the median (block bootstrap)", True),
        _ns("span_mean_ns", "Mean span", True),
        _ns("span_p95_ns", "95th percentile of span", True),
        _ns("span_p95_lower_ns", "Lower bound of the 95th percentile (block bootstrap)", True),
        _ns("span_p95_upper_ns", "Upper bound of the 95th percentile (block bootstrap)", True),
        _ns("span_p99_ns", "99th percentile of span; needs 400 executions", True),
        _ns("span_std_ns", "Standard deviation of span", True),
        _ns("cpu_p50_ns", "Median CPU time within the span", True),
        _rate("throughput_items_per_s", "items/s", "Batch size over mean span"),
        _ns("busy_ns", "Median time covered by kernels", True),
        Column("sm_clock_mhz", F64, "MHz", "Mean clock", True, low=0),
        _pct("gpu_utilization_pct", "Time with a kernel running, by the driver"),
        Column("marks", WORDS, "", "What to keep in mind", words=words.PROFILE_MARKS),
        NULLS,
    ),
)

THROUGHPUTS = Table(
    "throughputs",
    "engine x device x counter_source x counter_set",
    ("engine_id", "device_id", "counter_source", "counter_set"),
    (
        ENGINE,
        DEVICE,
        _one_of("counter_source", words.COUNTER_SOURCES, "Where the numbers come from"),
        _text("counter_set", "Which counters were read together"),
        _one_of("aggregation", words.AGGREGATIONS, "How one number was made of many"),
        _text("isolation", "Isolation of the solo profile whose median span was used", True),
        _pct("sm_pct", "Compute throughput of the peak"),
        _pct("l2_pct", "L2 (CPU: cache) throughput of the peak"),
        _pct("dram_pct", "Memory throughput of the peak"),
        _pct("memory_pct", "Nsight Compute's Memory [%], a maximum over memory units"),
        _pct("tensor_pct", "Tensor pipe throughput of the peak"),
        _pct("occupancy_pct", "Achieved occupancy"),
        _rate("flop_per_s", "flop/s", "Floating-point operations per second of solo span"),
        _rate("l2_bytes_per_s", "bytes/s", "L2 (CPU: cache) traffic per second of solo span"),
        _rate("dram_bytes_per_s", "bytes/s", "Memory traffic per second of solo span"),
        _ns("busy_ns", "Time covered by kernels", True),
        _count("kernel_count", "Kernels of one execution", True, I32),
        _count("replay_passes", "Passes the profiler replayed", True, I32),
        Column("sm_clock_mhz", F64, "MHz", "Compute clock while profiling", True, low=0),
        Column("memory_clock_mhz", F64, "MHz", "Memory clock while profiling", True, low=0),
        NULLS,
    ),
)

KERNELS = Table(
    "kernels",
    "engine x device x counter_source x counter_set x kernel",
    ("engine_id", "device_id", "counter_source", "counter_set", "kernel_index"),
    (
        ENGINE,
        DEVICE,
        _one_of("counter_source", words.COUNTER_SOURCES, "Where the numbers come from"),
        _text("counter_set", "Which counters were read together"),
        _index("kernel_index", "0, 1 ... in order of execution"),
        _text("name", "Name of the kernel"),
        _ns("duration_ns", "How long it runs alone"),
        _text("grid", "Blocks of its launch, x,y,z", True),
        _text("block", "Threads of each of them, x,y,z", True),
        _pct("sm_pct", "Compute throughput of the peak"),
        _pct("l2_pct", "L2 throughput of the peak"),
        _pct("dram_pct", "Memory throughput of the peak"),
        _pct("memory_pct", "Nsight Compute's Memory [%], a maximum over memory units"),
        _pct("tensor_pct", "Tensor pipe throughput of the peak"),
        _pct("occupancy_pct", "Achieved occupancy"),
        NULLS,
    ),
)

EXPERIMENTS = Table(
    "experiments",
    "experiment",
    ("experiment_id",),
    (
        _text("experiment_id", "Digest of cell, seed, engines and device"),
        _text("cell_id", "Digest of spec, condition and repeat"),
        DEVICE,
        KIND,
        _text("spec", "The resolved cell as JSON", kind=TEXT),
        _text("quality", "Thresholds in force as JSON", kind=TEXT),
        Column("seed", I64, "", "Seed of its random choices", low=0),
        _index("repeat", "0, 1 ...: repeats of the same cell"),
        _text("condition", "What was changed on purpose", True),
        _text("runner", "Runner that executed"),
        Column("lanes", I16, "count", "Lanes that were open", low=1),
        Column("lane_share_pct", PERCENTS, "percent", "Part of the device granted to each lane", True, low=0, high=100),
        _text("isolation_requested", "Isolation mode asked for", True),
        _text("isolation_observed", "Isolation mode in force"),
        Column("tenants", WORDS, "", "Names of the tenants, idle ones included: this is tenant order"),
        Column("deployed_models", WORDS, "", "Models of the tenants, in tenant order"),
        Column("tenant_engine_count", COUNTS, "count", "Engines of each tenant, one for each batch size", low=1),
        Column(
            "deployed_engine_ids",
            WORDS,
            "",
            "Engines of all tenants, one tenant after the other, in tenant order",
            refers_to="engines.engine_id",
        ),
        _ratio("planned_offset_ratio", "Planned start of the second tenant, in spans of the first"),
        _ratio("offered_load", "Offered work over what the lanes can do; the most where it changes"),
        Column("concurrency", I16, "count", "Batches in flight at most", True, low=1),
        _ns("generator_lag_p99_ns", "99th percentile of how late the host noticed an arrival", True),
        _ns("generator_lag_limit_ns", "Most that it may be", True),
        _flag("stationary", "Whether the window had settled: its start could be cut, and both halves agree", True),
        *_halves("latency_p95", "95th percentile of latency"),
        *_halves("span_p95", "95th percentile of span"),
        *_bounded("lone_slowdown", "Span of main executions that nobody ran beside, over the solo profile's median"),
        _count("lone_execution_count", "Executions behind lone_slowdown_ratio", True),
        _ratio("enqueue_bound_ratio", "Part of the executions that count whose lane had to wait for the host"),
        *_bounded("concurrency_gain", "Solo time's worth of work done per time of the window"),
        _ratio("canary_drift_ratio", "Largest change of a solo median while it ran, beyond what its scatter explains"),
        _ns("clock_error_ns", "Error bar of the stamps"),
        _flag("weights_shared", "Whether lanes share the weights of one engine in memory", True),
        _flag("oversubscribed", "Whether lanes share compute that they were meant to have alone"),
        _flag("host_has_own_core", "Whether a core was left for the dispatching process"),
        _flag("self_test_passed", "Whether lanes run side by side in this isolation on this device", True),
        _ratio("self_test_makespan_ratio", "Two half loads together over one (1 = side by side, 2 = in turns)"),
        _count("block_count", "Rows in blocks", kind=I32),
        _count("execution_count", "Rows in executions"),
        _count("overlap_count", "Rows in overlaps"),
        _count("request_count", "Rows in requests"),
        _one_of("verdict", words.VERDICTS, "How far it can be trusted"),
        Column("verdict_reasons", WORDS, "", "Why", words={word: reason.meaning for word, reason in REASONS.items()}),
        NULLS,
    ),
)

BLOCKS = Table(
    "blocks",
    "experiment x block",
    ("experiment_id", "block_index"),
    (
        *ROW_KEYS,
        _index("block_index", "0, 1 ... by time"),
        _index("quad_index", "Quad it belongs to", True),
        _one_of("arm", words.meanings(words.ARMS), "What ran"),
        Column("tenants", WORDS, "", "Tenants that run in it, sorted"),
        _ns("window_start_ns", "When the lead-in was over: what began from here on counts", low=None),
        _ns("window_end_ns", "When the window closed: what began before counts", low=None),
        _ns("window_ns", "Length of the window"),
        Column("offsets_ns", IDS, "ns", "Delay of each tenant after the start, in order of `tenants`", True, low=0),
        _ratio("concurrency_gain_ratio", "Solo time's worth of work done per time of the window"),
        _count("execution_count", "Executions of the block"),
        NULLS,
    ),
)

SLOWDOWNS = Table(
    "slowdowns",
    "experiment x tenant",
    ("experiment_id", "tenant"),
    (
        *ROW_KEYS,
        _text("tenant", "Name within the experiment"),
        Column("lane", I16, "", "Lane it ran on", low=0),
        ENGINE,
        Column(
            "co_engine_ids",
            WORDS,
            "",
            "Engines of the tenants on other lanes, in tenant order",
            refers_to="engines.engine_id",
        ),
        *_bounded("slowdown", "Median span beside the others over median span alone, by quads"),
        *_bounded("p95", "95th percentile of span beside the others over alone"),
        *_bounded("cpu", "Median CPU time beside the others over alone, by quads"),
        _ns("solo_p50_ns", "Median span alone in this experiment", True),
        _ns("co_run_p50_ns", "Median span beside the others", True),
        _count("quad_count", "Quads behind the slowdown", kind=I32),
        _count("sample_count", "Executions that count beside the others"),
        _count("solo_sample_count", "Executions that count alone"),
        _one_of("stop_reason", words.STOP_REASONS, "Why no more quads were run", True),
        _ratio("noise_floor_ratio", "The device's noise floor"),
        _flag(
            "within_noise", "Whether it cannot be told from none: inside the floor, or its interval holds 1.00", True
        ),
        _one_of("source", words.SOURCES, "Whose measurement"),
        NULLS,
    ),
)

EXECUTIONS = Table(
    "executions",
    "execution",
    ("experiment_id", "execution_id"),
    (
        *ROW_KEYS,
        _index("execution_id", "0, 1 ... in order of dispatch", kind=I64),
        ENGINE,
        _text("tenant", "Tenant it belongs to"),
        Column("lane", I16, "", "Lane it ran on", low=0),
        _one_of("role", words.ROLES, "What it is there for"),
        _index("block_index", "Block it belongs to"),
        _count("request_count", "Items in the batch", kind=I32),
        _ns("dispatched_ns", "Handed to the lane", low=None),
        _ns("start_ns", "Start on the lane", low=None),
        _ns("end_ns", "End on the lane", low=None),
        Column("span_ns", I64, "ns", "end_ns - start_ns", low=1),
        _ns("cpu_ns", "CPU time of the lane within the span", True),
        _ns("h2d_ns", "Copy to the device", True),
        _ns("d2h_ns", "Copy from the device", True),
        _one_of("censored", words.CENSORED, "Which of its ends lie outside the block's window"),
        _one_of("co_censored", words.CENSORED, "The same of those that ran beside it"),
        _ratio("slowdown_ratio", "Span over the engine's median solo span"),
        _ratio("interference_ratio", "Span over the 95th percentile of the engine's solo span"),
        Column("in_flight_execution_ids", IDS, "", "At dispatch: executions that had not ended", True, low=0),
        Column("remaining_solo_ns", IDS, "ns", "At dispatch: solo time left of each of them", True, low=0),
        Column(
            "queued_count", COUNTS, "count", "At dispatch: requests queued per tenant, in tenant order", True, low=0
        ),
        Column(
            "queue_age_ns",
            SOME_TIMES,
            "ns",
            "At dispatch: age of the oldest queued request per tenant; null where none is",
            True,
            low=0,
        ),
        Column(
            "arrival_items_per_s",
            SOME_RATES,
            "items/s",
            "At dispatch: estimated arrivals per tenant; null before its first",
            True,
            low=0,
        ),
        Column("marks", WORDS, "", "What to keep in mind", words=words.MARKS),
    ),
    large=True,
)

OVERLAPS = Table(
    "overlaps",
    "overlap interval",
    ("experiment_id", "execution_id", "interval_index"),
    (
        *ROW_KEYS,
        _index("execution_id", "Execution within the experiment", kind=I64),
        _index("interval_index", "0, 1 ... within the execution"),
        _ns("start_ns", "Start, included", low=None),
        _ns("end_ns", "End, excluded", low=None),
        Column("duration_ns", I64, "ns", "end_ns - start_ns", low=1),
        Column("fraction", F64, "ratio", "duration_ns over the execution's span", low=0, high=1),
        _count("co_count", "Others that ran throughout", kind=I32),
        Column("co_execution_ids", IDS, "", "They, rising"),
        Column("co_engine_ids", WORDS, "", "Their engines, in the same order", refers_to="engines.engine_id"),
        _flag("below_clock_error", "Whether it is shorter than the experiment's clock_error_ns"),
    ),
    large=True,
)

REQUESTS = Table(
    "requests",
    "request",
    ("experiment_id", "request_id"),
    (
        *ROW_KEYS,
        _index("request_id", "0, 1 ... in order of intended arrival", kind=I64),
        _text("tenant", "Tenant it asks"),
        _text("model", "Model of the tenant"),
        _ns("intended_arrival_ns", "Drawn beforehand; latency counts from here", low=None),
        _ns("batched_ns", "When its batch left the queue", True, low=None),
        _index("execution_id", "Execution that served it", True, kind=I64),
        _ns("done_ns", "End of that execution", True, low=None),
        _ns("latency_ns", "done_ns - intended_arrival_ns", True),
        _ns("blocked_ns", "Time queued while only other tenants' batches held the lanes", True),
        _ns("deadline_ns", "When it should be done", True, low=None),
        _one_of("outcome", words.OUTCOMES, "What became of it"),
        Column("marks", WORDS, "", "What to keep in mind", words=words.REQUEST_MARKS),
    ),
    large=True,
)

PROVENANCE = Table(
    "provenance",
    "experiment",
    ("subject", "subject_id"),
    (
        _one_of("subject", words.SUBJECTS, "What the row is about"),
        _text("subject_id", "Its id"),
        Column("started_at", TIME, "", "Wall clock", True),
        Column("finished_at", TIME, "", "Wall clock", True),
        _text("host", "Machine", True),
        Column("pid", I64, "", "Process", True, low=0),
        _count("attempt_count", "Attempts until it succeeded", True, I32),
        _text("git_commit", "Commit of cotenant", True),
        Column("versions", WORD_MAP, "", "Package -> version"),
        _text("raw_sha256", "Digest of its raw file", True, TEXT),
        NULLS,
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        DEVICES, ENGINES, SOLO_PROFILES, THROUGHPUTS, KERNELS, EXPERIMENTS, BLOCKS, SLOWDOWNS, EXECUTIONS, OVERLAPS,
        REQUESTS, PROVENANCE,
    )
}  # fmt: skip

LARGE: tuple[Table, ...] = tuple(table for table in TABLES.values() if table.large)
