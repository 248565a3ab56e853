"""How a kernel is cut into blocks, and which cut a builder's autotuner would take (docs/decisions/0011).

output of a product, cut into tiles           blocks on the SMs, wave by wave
+------+------+--+                            SM 0 | block | block |
| 128  |      |  |  tile 128 x 64, split 1    SM 1 | block | block |
+------+------+--+                            SM 2 | block |         <- idle tail of the last wave
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from cotenant.models.model import OperatorCost, Precision
from cotenant.runners.simulated.device_schema import DeviceFile

# Shapes that the CUTLASS and cuBLAS libraries offer, from 256 x 128 down; each is tried in both directions.
TILES = ((256, 128), (128, 128), (128, 64), (64, 64), (64, 32))
SPLITS = (1, 2, 4, 8)  # how many blocks share the sum over K of one tile
# Tile efficiency I / (I + this), I = multiply-accumulates per element fetched: 256 x 128 reaches 84 % of the peak, as
# good libraries do on large products, 64 x 32 reaches 57 %.
INTENSITY_HALF = 16.0
K_HALF = 32  # one step along K: its first fetch and its last sum overlap with nothing
PARTIAL_SUM_BYTES = 4  # blocks that share a sum exchange 32-bit floats through the L2 cache
DIRECT_COLUMNS_MAX = 8  # products with fewer columns (depthwise convolutions) may run on the vector units, untiled
VECTOR_EFFICIENCY = 0.5  # the other half of the issue slots goes to addresses, conversions and control
OPERATION_FLOP = 2  # one instruction takes the slot of a multiply-add, which peaks count as two
# Assumed: a first fetch from memory (about 600) and the last stores (about 400) overlap with nothing.
RAMP_CYCLES = 1000
# Kernels of products also fill a pipeline of tiles, stage their results and run code that is cold in every cache. From
# one published number, BERT-base on the A100 (NVIDIA/TensorRT, demo/BERT: fp16, sequence 128, batch 1, 0.67 ms): what
# the rest of this model leaves of it, for each of the 61 products.
MATRIX_RAMP_CYCLES = RAMP_CYCLES + 8500
SM_BYTES_PER_CLOCK = 64  # between one SM and the L2 cache: NVIDIA, A100 white paper
BLOCK_ELEMENTS = 1024  # of an element-wise kernel: 256 threads of four elements


@dataclass(frozen=True)
class Grid:
    """A kernel cut into equal blocks.

    Attributes:
        block_ns: Time of one full block on one SM, the longer of its instructions and its traffic.
        l2_bytes: Traffic between SMs and L2 cache.
        ramp_cycles: What overlaps with none of it: start, first fetches, last stores.
        launch_count: Kernels that it takes; shared sums are added up by a second one.
    """

    name: str
    block_count: int
    block_ns: float
    l2_bytes: int
    ramp_cycles: int
    launch_count: int = 1

    def sm_ns(self, sm_count: int) -> float:
        """Return the time on the SMs, idle tails of the last wave included."""
        return -(-self.block_count // sm_count) * self.block_ns

    def sm_work_ns(self, sm_count: int) -> float:
        """Return the time that the SMs are busy, on average over all of them."""
        return self.block_count * self.block_ns / sm_count


@dataclass(frozen=True)
class Product:
    """A group's matrix work: `count` independent products of rows x k by k x columns.

    Attributes:
        left_bytes, right_bytes: The two factors, all products together; a convolution's right factor is its weights.
        other_bytes: What the group reads and writes besides, once.
        other_operations: Element-wise operations that are fused into it.
    """

    count: int
    rows: int
    columns: int
    k: int
    left_bytes: int
    right_bytes: int
    other_bytes: int
    other_operations: int


def product_of(cost: OperatorCost, element_bytes: int) -> Product:
    """Return the matrix work of a fused group; its output shape tells rows and columns.

    A convolution's channels are its columns, its places and items its rows.
    """
    outputs = math.prod(cost.output_shape)
    convolves = "Conv" in cost.operators and len(cost.output_shape) > 2
    across = cost.output_shape[1] // cost.product_count if convolves else cost.output_shape[-1]
    columns = max(1, across)
    rows = max(1, outputs // (columns * cost.product_count))
    k = max(1, -(-cost.mac_count // max(1, outputs)))
    right = min(cost.read_bytes, cost.product_count * k * columns * element_bytes)
    left = min(cost.read_bytes - right, cost.product_count * rows * k * element_bytes)
    return Product(
        count=cost.product_count,
        rows=rows,
        columns=columns,
        k=k,
        left_bytes=left,
        right_bytes=right,
        other_bytes=cost.read_bytes - left - right + cost.write_bytes,
        other_operations=cost.flop_count - 2 * cost.mac_count,
    )


def matrix_grids(product: Product, device: DeviceFile, precision: Precision) -> Iterator[Grid]:
    """Return every cut of a product that the autotuner tries."""
    unit, peak = _unit(device, precision)
    per_sm = peak * device.clock_ratio / device.sm_count / 1e9
    for tile in TILES:
        for tile_rows, tile_columns in dict.fromkeys((tile, tile[::-1])):
            for split in SPLITS:
                name = f"{unit}_{tile_rows}x{tile_columns}" + (f"_split{split}" if split > 1 else "")
                yield _tiled(product, device, name, (tile_rows, tile_columns), split, per_sm)
    if product.columns < DIRECT_COLUMNS_MAX:
        yield _direct(product, device)


def _tiled(
    product: Product, device: DeviceFile, name: str, tile: tuple[int, int], split: int, flop_per_ns: float
) -> Grid:
    down, across = -(-product.rows // tile[0]), -(-product.columns // tile[1])
    block_count = product.count * down * across * split
    k = -(-product.k // split)
    parts = product.count * split
    tiles = parts * max(1.0, product.rows / tile[0]) * max(1.0, product.columns / tile[1])
    fetched = product.left_bytes / parts / max(1.0, product.rows / tile[0])
    fetched += product.right_bytes / parts / max(1.0, product.columns / tile[1])
    intensity = tile[0] * tile[1] / (tile[0] + tile[1])
    efficiency = intensity / (intensity + INTENSITY_HALF)
    block_ns = 2 * tile[0] * tile[1] * (k + K_HALF) / (flop_per_ns * efficiency)
    block_ns += _operations_ns(product.other_operations / tiles, device)
    sums = product.count * product.rows * product.columns * PARTIAL_SUM_BYTES * 2 * split if split > 1 else 0
    return Grid(
        name=name,
        block_count=block_count,
        block_ns=max(block_ns, _port_ns(fetched + product.other_bytes / tiles, device)),
        l2_bytes=product.left_bytes * across + product.right_bytes * down + product.other_bytes + sums,
        ramp_cycles=MATRIX_RAMP_CYCLES if split == 1 else MATRIX_RAMP_CYCLES + RAMP_CYCLES,
        launch_count=1 if split == 1 else 2,
    )


def _direct(product: Product, device: DeviceFile) -> Grid:
    outputs = product.count * product.rows * product.columns
    operations = product.k * outputs + product.other_operations  # a multiply-accumulate is one instruction
    l2_bytes = product.left_bytes + product.right_bytes + product.other_bytes
    return _flat("direct", outputs, operations, l2_bytes, MATRIX_RAMP_CYCLES, device)


def vector_grid(cost: OperatorCost, device: DeviceFile, element_bytes: int) -> Grid:
    """Return the cut of a group without matrix work: one instruction an operation and an element moved."""
    l2_bytes = cost.read_bytes + cost.write_bytes
    moved = l2_bytes // element_bytes
    elements = max(1, math.prod(cost.output_shape), moved // 2)
    return _flat("vector", elements, cost.flop_count + moved, l2_bytes, RAMP_CYCLES, device)


def _flat(name: str, elements: int, operations: int, l2_bytes: int, ramp_cycles: int, device: DeviceFile) -> Grid:
    """Return a cut into blocks of as many elements each; a block that is not full takes the time of a full one."""
    blocks = max(1.0, elements / BLOCK_ELEMENTS)
    block_ns = max(_operations_ns(operations / blocks, device), _port_ns(l2_bytes / blocks, device))
    return Grid(name, math.ceil(blocks), block_ns, l2_bytes, ramp_cycles)


def _operations_ns(operations: float, device: DeviceFile) -> float:
    """Return the time of that many instructions on the vector units of one SM."""
    per_sm = device.peak_flop_per_s.fp32_vector * device.clock_ratio / device.sm_count / 1e9
    return OPERATION_FLOP * operations / (per_sm * VECTOR_EFFICIENCY)


def _port_ns(byte_count: float, device: DeviceFile) -> float:
    """Return the time of that many bytes between the L2 cache and one SM."""
    return byte_count / (SM_BYTES_PER_CLOCK * device.sm_clock_mhz / 1e3)


def _unit(device: DeviceFile, precision: Precision) -> tuple[str, int]:
    """Return name and peak of the unit that multiplies: tensor cores, for fp32 by way of TF32, else vector units."""
    peaks = device.peak_flop_per_s
    tensor = peaks.fp16_tensor if precision == "fp16" else peaks.tf32_tensor
    return ("tensor", tensor) if tensor is not None else ("vector", peaks.fp32_vector)
