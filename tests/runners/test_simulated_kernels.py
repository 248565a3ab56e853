"""Kernel lists: more work is never faster, work is conserved, demands stay in their ranges, fusions lose nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cotenant.models.model import OperatorCost, Precision
from cotenant.models.zoo import catalogue, resolve
from cotenant.runners.simulated.device_file import DeviceFile, device_names, load_device
from cotenant.runners.simulated.fusions import FOLDED, fused
from cotenant.runners.simulated.kernel_list import ONE, KernelList
from cotenant.runners.simulated.roofline import kernels_of

L4, T4, H200 = load_device("l4"), load_device("t4"), load_device("h200")
ZOO = [entry.name for entry in catalogue()]
WIDTH: dict[Precision, int] = {"fp32": 4, "fp16": 2}
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


def convolution(batch: int, inputs: int, outputs: int, side: int, groups: int = 1) -> OperatorCost:
    """A 3 x 3 convolution in fp16, worked out by hand."""
    k = 9 * inputs // groups
    macs = batch * outputs * side * side * k
    weights = 2 * outputs * k
    return OperatorCost(
        "conv", "Conv", (batch, outputs, side, side), macs, 2 * macs, weights + 2 * batch * inputs * side * side,
        2 * batch * outputs * side * side, weights, groups,
    )  # fmt: skip


def elementwise(count: int) -> OperatorCost:
    return OperatorCost("relu", "Relu", (count,), 0, count, 2 * count, 2 * count, 0, 0)


def of_zoo(model: str, batch_size: int, precision: Precision, device: DeviceFile = L4) -> KernelList:
    return kernels_of(resolve(model).operator_costs(batch_size, precision), device, precision)


def more_sms(device: DeviceFile, factor: int) -> DeviceFile:
    """The same SMs at the same clock, more of them."""
    peaks = device.peak_flop_per_s
    scaled = {key: None if peak is None else peak * factor for key, peak in peaks.model_dump().items()}
    return device.model_copy(
        update={"sm_count": device.sm_count * factor, "peak_flop_per_s": type(peaks).model_validate(scaled)}
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("model", ZOO)
def test_every_variant_builds_and_larger_batches_take_longer(model: str, precision: Precision) -> None:
    times = []
    for batch_size in range(1, 9):
        kernels = of_zoo(model, batch_size, precision)
        times.append(kernels.solo_ns)
        for demand in (kernels.sm, kernels.l2, kernels.dram):
            assert 0 <= demand.min() <= demand.max() <= ONE
        assert kernels.footprint_bytes.max() <= L4.l2_bytes
        assert kernels.duration_ns.min() > 0
        assert set(kernels.gap_ns.tolist()) == {L4.launch_gap_ns}
    assert times == sorted(times)


@given(st.integers(1, 8), st.integers(1, 512), st.integers(1, 512), st.integers(1, 64), st.sampled_from([L4, T4, H200]))
@settings(max_examples=60, deadline=None)
def test_more_work_is_never_faster(batch: int, inputs: int, outputs: int, side: int, device: DeviceFile) -> None:
    least = kernels_of([convolution(batch, inputs, outputs, side)], device, "fp16").duration_ns[0]
    shapes = [
        (batch + 1, inputs, outputs, side),
        (batch, inputs + 7, outputs, side),
        (batch, inputs, outputs + 7, side),
        (batch, inputs, outputs, side + 3),
    ]
    for more in shapes:
        assert kernels_of([convolution(*more)], device, "fp16").duration_ns[0] >= least


@given(st.integers(1, 1 << 28), st.integers(0, 1 << 20))
@settings(max_examples=60, deadline=None)
def test_more_elements_are_never_faster(count: int, more: int) -> None:
    less, greater = (kernels_of([elementwise(size)], L4, "fp16").duration_ns[0] for size in (count, count + more))
    assert greater >= less


@pytest.mark.parametrize("model", ["resnet50", "roberta_base", "convnext_tiny", "yolov8n"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_more_sms_and_faster_clocks_are_never_slower(model: str, precision: Precision) -> None:
    before = of_zoo(model, 4, precision)
    for device in (more_sms(L4, 2), more_sms(L4, 3), L4.model_copy(update={"sm_clock_mhz": 2200})):
        after = of_zoo(model, 4, precision, device)
        assert (after.duration_ns <= before.duration_ns).all()
        assert after.solo_ns < before.solo_ns


@pytest.mark.parametrize("model", ["resnet50", "vgg19", "vit_b_16", "roberta_base", "yolov8m"])
@pytest.mark.parametrize("name", device_names())
def test_no_kernel_beats_the_peaks(model: str, name: str) -> None:
    """An independent roofline: operations over peak and bytes that must move over bandwidth bound each kernel."""
    device = load_device(name)
    for precision in PRECISIONS:
        groups = fused(resolve(model).operator_costs(8, precision), precision)
        kernels = kernels_of(groups, device, precision)
        assert len(kernels) == len(groups)
        peaks = device.peak_flop_per_s
        tensor = peaks.fp16_tensor if precision == "fp16" else peaks.tf32_tensor
        for index, group in enumerate(groups):
            flop_ns = 2 * group.mac_count / (tensor or peaks.fp32_vector) * 1e9
            l2_ns = (group.read_bytes + group.write_bytes) / device.l2_bytes_per_s * 1e9
            assert kernels.duration_ns[index] >= max(flop_ns, l2_ns)
            moved_ns = (int(kernels.dram[index]) - 1) / ONE * int(kernels.duration_ns[index])  # rounded to 1/ONE
            assert moved_ns <= (group.read_bytes + group.write_bytes) / device.dram_achieved_bytes_per_s * 1e9


def test_an_engine_that_fits_finds_its_weights_and_loses_them_to_others() -> None:
    """resnet18 in fp16 has 23 MB of weights: the L4 keeps them, the T4 with its 4 MB does not."""
    small, large = of_zoo("resnet18", 1, "fp16", T4), of_zoo("resnet18", 1, "fp16", L4)
    assert large.dram.max() == 0
    assert len(set(large.footprint_bytes.tolist())) == 1
    costs = resolve("resnet18").operator_costs(1, "fp16")
    weights = sum(cost.weight_bytes for cost in costs)
    assert large.footprint_bytes[0] > weights
    lost_bytes = (large.spill * large.duration_ns).sum() / ONE / 1e9 * L4.dram_achieved_bytes_per_s
    activations = sum(cost.read_bytes - cost.weight_bytes + cost.write_bytes for cost in costs)
    assert lost_bytes == pytest.approx(weights + activations, rel=0.01)
    fetched_bytes = (small.dram * small.duration_ns).sum() / ONE / 1e9 * T4.dram_achieved_bytes_per_s
    assert weights <= fetched_bytes * 1.01


def test_fusions_keep_the_work() -> None:
    for model in ("roberta_base", "vit_b_16", "yolov8n", "resnet50", "convnext_tiny"):
        for precision in PRECISIONS:
            costs = resolve(model).operator_costs(2, precision)
            after = fused(costs, precision)
            assert sum(each.mac_count for each in after) == sum(each.mac_count for each in costs)
            weights = sum(each.weight_bytes for each in costs if not set(each.operators.split("+")) <= FOLDED)
            assert sum(each.weight_bytes for each in after) == weights
            assert all(each.read_bytes >= each.weight_bytes >= 0 and each.write_bytes > 0 for each in after)


def test_attention_is_one_kernel_in_fp16_and_three_in_fp32() -> None:
    costs = {precision: resolve("roberta_base").operator_costs(1, precision) for precision in PRECISIONS}
    names = {precision: [each.operators for each in fused(costs[precision], precision)] for precision in PRECISIONS}
    assert names["fp16"].count("Attention") == 12
    assert not any(name.startswith("Softmax") for name in names["fp16"])
    assert sum(name.startswith("Softmax") for name in names["fp32"]) == 12
    products = [each for each in fused(costs["fp16"], "fp16") if each.mac_count]
    assert len(products) == 12 * 5 + 1  # joint projection, attention, output, two of the feed-forward part; the pooler
    assert sum(each.output_shape == (128, 3 * 768) for each in products) == 12


def test_convolutions_in_a_row_are_not_merged() -> None:
    costs = resolve("vgg19").operator_costs(1, "fp16")
    assert fused(costs, "fp16") == list(costs)


def test_depthwise_convolutions_run_on_the_vector_units() -> None:
    dense, depthwise = convolution(4, 256, 256, 28), convolution(4, 256, 256, 28, groups=256)
    names = [kernels_of([cost], L4, "fp16").names[0] for cost in (dense, depthwise)]
    assert names[0].startswith("conv tensor_")
    assert names[1] == "conv direct"


def test_tensor_cores_need_a_device_that_has_them() -> None:
    assert "tensor_" in kernels_of([convolution(1, 64, 64, 56)], L4, "fp32").names[0]
    assert "vector_" in kernels_of([convolution(1, 64, 64, 56)], T4, "fp32").names[0]
    assert "tensor_" in kernels_of([convolution(1, 64, 64, 56)], T4, "fp16").names[0]


def test_idle_tails_of_waves_take_time_but_no_sms() -> None:
    """One block more than there are SMs doubles the waves; what the SMs do grows by one block only."""
    block = 1024
    counts = [L4.sm_count * block * 64, (L4.sm_count * 64 + 1) * block]
    fits, spills = (kernels_of([replace(elementwise(n), flop_count=4000 * n)], L4, "fp16") for n in counts)
    assert spills.duration_ns[0] / fits.duration_ns[0] == pytest.approx(65 / 64, rel=1e-3)
    busy = [int(each.sm[0]) * int(each.duration_ns[0]) for each in (fits, spills)]
    assert busy[1] / busy[0] == pytest.approx(1 + 1 / (64 * L4.sm_count), rel=1e-4)


def test_a_network_of_movers_alone_still_has_kernels() -> None:
    mover = OperatorCost("turn", "Transpose", (64, 64), 0, 0, 8192, 8192, 0, 0)
    assert len(kernels_of([mover], L4, "fp16")) == 1
    assert len(kernels_of([], L4, "fp16")) == 0


def test_a_kernel_list_refuses_numbers_out_of_range() -> None:
    kernels = of_zoo("resnet18", 1, "fp16")
    with pytest.raises(ValueError, match="sm must lie"):
        replace(kernels, sm=kernels.sm + ONE)
    with pytest.raises(ValueError, match="gap_ns must be"):
        replace(kernels, gap_ns=kernels.gap_ns.astype(np.float64))


def test_the_paper_gains_come_out_in_their_order() -> None:
    """The paper: resnet50 gains more than 200 % from batch 1 to 8, roberta_base far less once sequences are long."""

    def gain_pct(model: str, precision: Precision) -> float:
        return 100 * (8 * of_zoo(model, 1, precision).solo_ns / of_zoo(model, 8, precision).solo_ns - 1)

    for precision in PRECISIONS:
        assert gain_pct("resnet50", precision) > 200
        assert gain_pct("roberta_base", precision) < gain_pct("resnet50", precision)
        assert gain_pct("roberta_base:seq=512", precision) < 60
    assert math.isfinite(gain_pct("roberta_base", "fp16"))
