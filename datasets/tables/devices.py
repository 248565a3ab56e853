"""The table `devices`: one row per device."""

from cotenant.datasets import words
from cotenant.datasets.column import I32, NULLS, Table, count, one_of, rate, ratio, size_bytes, text

DEVICES = Table(
    "devices",
    "device",
    ("device_id",),
    (
        text("device_id", "GPU UUID, or digest of what identifies a CPU or simulated device"),
        text("device_type", "What makes two devices interchangeable"),
        one_of("kind", words.DEVICE_KINDS, "Kind of device"),
        text("name", "Name of the product"),
        count("sm_count", "Streaming multiprocessors; cores on a CPU", kind=I32),
        size_bytes("l2_bytes", "L2 cache of a GPU; last-level cache of a CPU", True),
        size_bytes("dram_bytes", "Size of its memory", True),
        rate("datasheet_flop_per_s", "flop/s", "Peak arithmetic by its data sheet"),
        rate("datasheet_dram_bytes_per_s", "bytes/s", "Peak memory traffic by its data sheet"),
        rate("peak_flop_per_s", "flop/s", "Most that one lane's compute probe reached"),
        rate("peak_cache_bytes_per_s", "bytes/s", "Most that one lane's cache probe reached"),
        rate("peak_dram_bytes_per_s", "bytes/s", "Most that one lane's memory probe reached"),
        ratio(
            "noise_floor_ratio",
            "How far null experiments' intervals reach from 1.00, root mean square, as a ratio of at least 1",
        ),
        count("null_experiment_count", "Null experiments behind the noise floor", kind=I32),
        NULLS,
    ),
)
