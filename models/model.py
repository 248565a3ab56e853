"""What every model can tell and do, whether it comes from the zoo or from the user's file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Precision = Literal["fp32", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


@dataclass(frozen=True)
class Input:
    """One input of a network at a fixed shape.

    Attributes:
        name: Tensor name in the graph.
        dtype: numpy dtype name: float32, float16, int64, int32.
        shape: Static shape, batch first.
        high: For integer inputs the exclusive upper bound of valid values (vocabulary size); else None.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    high: int | None = None


@dataclass(frozen=True)
class Export:
    """A network written out at one shape and precision.

    Attributes:
        graph_path: The ONNX graph (small); its initialisers refer to `weights_path` by file name alone.
        weights_path: External data shared by every shape of the same model and precision; None if the graph holds all.
        weights_sha256: Digest of the weights file's bytes; None if there is none.
    """

    graph_path: Path
    weights_path: Path | None
    weights_sha256: str | None


@dataclass(frozen=True)
class GraphCost:
    """Work of one execution of a network, summed over its fused groups of operators.

    Attributes:
        mac_count: Multiply-accumulates of convolutions and all matrix products, attention included.
        flop_count: 2 x mac_count plus one per element of every other arithmetic operator.
        read_bytes: Activations and weights read, each fused group reading its inputs once.
        write_bytes: Activations written, each fused group writing its outputs once.
        weight_bytes: Bytes of all initialisers at this precision.
        parameter_count: Parameters of the architecture (frozen included, batch norm unfolded).
    """

    mac_count: int
    flop_count: int
    read_bytes: int
    write_bytes: int
    weight_bytes: int
    parameter_count: int


@dataclass(frozen=True)
class OperatorCost:
    """Work of one fused group of operators.

    Attributes:
        name: Name of its first operator.
        operators: Operator types in order, e.g. `Conv+Relu`.
        output_shape: Shape of the last output.
        mac_count: Multiply-accumulates of convolutions and matrix products.
        flop_count: 2 x mac_count plus one per element of every other arithmetic operator.
        read_bytes: Activations and weights read, each once.
        write_bytes: Activations written.
        weight_bytes: The part of `read_bytes` that is weights (initialisers and what is folded from them).
        product_count: Independent matrix products of equal size that the MACs consist of: the groups of a convolution,
            the leading dimensions of a product of two activations, else 1; 0 without MACs.
    """

    name: str
    operators: str
    output_shape: tuple[int, ...]
    mac_count: int
    flop_count: int
    read_bytes: int
    write_bytes: int
    weight_bytes: int
    product_count: int


class Model(Protocol):
    """A network, before batch size and precision are chosen."""

    @property
    def name(self) -> str:
        """Canonical name with its options, e.g. `resnet50:image=96`; `file:` models carry their path."""

    @property
    def family(self) -> str:
        """Name of the family's file, e.g. `resnet`; `file` for the user's own ONNX."""

    def inputs(self, batch_size: int, precision: Precision) -> tuple[Input, ...]:
        """Return the inputs at one batch size."""

    def source_sha256(self, precision: Precision) -> str:
        """Return the digest that names the model's content; needs no weights for zoo models (design section 5)."""

    def operator_costs(self, batch_size: int, precision: Precision) -> tuple[OperatorCost, ...]:
        """Return the work of each fused group of operators, in order; makes no weights."""

    def cost(self, batch_size: int, precision: Precision) -> GraphCost:
        """Return the work of one execution; makes no weights."""

    def export(self, batch_size: int, precision: Precision, cache: Path) -> Export:
        """Write graph and weights below `cache` (weights once per model and precision) and return where they lie."""
