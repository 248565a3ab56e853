"""The table `engines`: one row per engine."""

from cotenant.datasets import words
from cotenant.datasets.column import I32, NULLS, TEXT, Table, count, index, one_of, size_bytes, text

ENGINES = Table(
    "engines",
    "engine",
    ("engine_id",),
    (
        text("engine_id", "Digest of what decides the engine"),
        text("model", "Canonical name of the model with its options"),
        text("family", "Family of the model", True),
        count("batch_size", "Items of one execution", kind=I32),
        text("input_shapes", "JSON object: input -> shape", True, TEXT),
        one_of("precision", words.PRECISIONS, "Precision of weights and activations", True),
        text("runner", "Runner that built it"),
        text("engine_kind", "Kind of engine file; imported: none is known"),
        text("build_target", "What an engine file depends on", True),
        index("build_index", "0, 1 ...: builds of the same engine told apart"),
        text("source_sha256", "Digest of the model's content", True),
        text("engine_sha256", "Digest of what executes", True),
        size_bytes("engine_bytes", "Size of the files that execute, shared weights included", True),
        count("parameter_count", "Parameters of the architecture", True),
        count("mac_count", "Multiply-accumulates of one execution", True),
        count("flop_count", "Floating-point operations of one execution", True),
        size_bytes("read_bytes", "Bytes one execution reads, by operator costs", True),
        size_bytes("write_bytes", "Bytes one execution writes, by operator costs", True),
        size_bytes("weight_bytes", "Bytes of its weights", True),
        NULLS,
    ),
)
