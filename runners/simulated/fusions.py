"""What an engine builder fuses beyond the groups of the operator costs (docs/decisions/0011).

q, k, v projections | transposes | scores | softmax | context
one product         | nothing    | one kernel in fp16, three in fp32
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from cotenant.models.model import OperatorCost, Precision

# The kernels around read and write in another order, or write parts to where the whole shall lie.
FOLDED = frozenset({"Transpose", "Concat", "Split"})
ATTENTION = "Attention"
PROJECTIONS_MAX = 3


def fused(costs: Sequence[OperatorCost], precision: Precision) -> list[OperatorCost]:
    """Return the groups that become kernels; multiply-accumulates and weights are those of the given groups."""
    kept = [cost for cost in costs if not set(cost.operators.split("+")) <= FOLDED] or list(costs)
    merged: list[OperatorCost] = []
    for cost in kept:
        if _multiplies_activations(cost):
            _merge_projections(merged)
        merged.append(cost)
        if precision == "fp16" and _is_attention(merged[-3:]):
            merged[-3:] = [_attention(*merged[-3:])]
    return merged


def _merge_projections(groups: list[OperatorCost]) -> None:
    """Make one product of the last groups if they are projections of one input to equal widths."""
    count = 0
    while count < min(PROJECTIONS_MAX, len(groups)) and _alike(groups[-1 - count], groups[-1]):
        count += 1
    if count > 1:
        groups[-count:] = [_side_by_side(groups[-count:])]


def _alike(cost: OperatorCost, last: OperatorCost) -> bool:
    products = all(each.operators.startswith("MatMul") and each.product_count == 1 for each in (cost, last))
    inputs = [(each.mac_count, _activations_read(each)) for each in (cost, last)]
    return products and inputs[0] == inputs[1]


def _side_by_side(costs: Sequence[OperatorCost]) -> OperatorCost:
    first = costs[0]
    outputs = math.prod(first.output_shape)
    last_side = first.output_shape[-1]
    if len({cost.output_shape[-1] for cost in costs}) > 1:  # some are already split into heads
        last_side = max(cost.output_shape[-1] for cost in costs)
    return replace(
        first,
        output_shape=(outputs // last_side, last_side * len(costs)),
        mac_count=sum(cost.mac_count for cost in costs),
        flop_count=sum(cost.flop_count for cost in costs),
        read_bytes=_activations_read(first) + sum(cost.weight_bytes for cost in costs),
        write_bytes=sum(cost.write_bytes for cost in costs),
        weight_bytes=sum(cost.weight_bytes for cost in costs),
    )


def _is_attention(groups: Sequence[OperatorCost]) -> bool:
    if len(groups) < 3:
        return False
    scores, softmax, context = groups
    return (
        _multiplies_activations(scores)
        and softmax.operators.startswith("Softmax")
        and _multiplies_activations(context)
        and scores.output_shape == softmax.output_shape
        and scores.product_count == context.product_count
    )


def _attention(scores: OperatorCost, softmax: OperatorCost, context: OperatorCost) -> OperatorCost:
    """Return all three as one: scores and probabilities never leave the SMs."""
    parts = (scores, softmax, context)
    return replace(
        context,
        name=scores.name,
        operators=ATTENTION,
        mac_count=sum(cost.mac_count for cost in parts),
        flop_count=sum(cost.flop_count for cost in parts),
        read_bytes=sum(cost.read_bytes for cost in parts) - scores.write_bytes - softmax.write_bytes,
        weight_bytes=sum(cost.weight_bytes for cost in parts),
    )


def _multiplies_activations(cost: OperatorCost) -> bool:
    return cost.operators.startswith("MatMul") and cost.product_count > 1


def _activations_read(cost: OperatorCost) -> int:
    return cost.read_bytes - cost.weight_bytes
