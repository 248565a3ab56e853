"""Device files: the packaged ones are complete, sourced and consistent; mistakes get one clear line."""

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from cotenant.models.errors import UserError
from cotenant.runners.simulated.device_file import DeviceFile, device_names, load_device

NAMES = ("a10", "a100", "h100", "h200", "l4", "l40s", "t4")
FP32_LANES = {"t4": 64, "a100": 64}  # of one SM, by the architectures' white papers; 128 on the others
MARKS = ("datasheet: ", "measured by ", "assumed because ")


def written(folder: Path, text: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_the_package_brings_seven_devices() -> None:
    assert tuple(device_names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_packaged_number_names_its_source(name: str) -> None:
    device = load_device(name)
    numbers = {key for key in DeviceFile.model_fields if key not in ("name", "faults", "sources", "peak_flop_per_s")}
    peaks = {f"peak_flop_per_s.{key}" for key in type(device.peak_flop_per_s).model_fields}
    assert set(device.sources) == numbers | peaks
    assert all(source.startswith(MARKS) for source in device.sources.values())
    text = files("cotenant.runners.simulated.devices").joinpath(f"{name}.yaml").read_text()
    assert set(yaml.safe_load(text)) == numbers | {"name", "peak_flop_per_s"}


@pytest.mark.parametrize("name", NAMES)
def test_vector_peak_is_lanes_times_clock(name: str) -> None:
    """An independent count: FP32 lanes of all SMs, two operations a clock, at the boost clock."""
    device = load_device(name)
    counted = device.sm_count * FP32_LANES.get(name, 128) * 2 * device.boost_clock_mhz * 1e6
    assert device.peak_flop_per_s.fp32_vector == pytest.approx(counted, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_rates_are_in_the_order_that_hardware_has(name: str) -> None:
    device = load_device(name)
    assert device.l2_bytes_per_s > 2 * device.dram_bytes_per_s
    assert device.noise_pct == 2
    assert all(fault is None for _, fault in device.faults)
    tensor = (device.peak_flop_per_s.fp16_tensor, device.peak_flop_per_s.tf32_tensor)
    assert tensor[0] is not None
    assert tensor[1] is None if name == "t4" else tensor[1] == pytest.approx(tensor[0] / 2, rel=0.02)


def test_options_change_scalars_and_the_digest() -> None:
    plain, changed = load_device("l4"), load_device("l4:noise_pct=0,slice_ns=2000000")
    assert (changed.noise_pct, changed.slice_ns) == (0, 2_000_000)
    assert changed.digest() != plain.digest()
    assert "noise_pct" not in changed.sources
    assert load_device("l4:noise_pct=2").digest() == plain.digest()


def test_sources_are_no_part_of_the_digest(tmp_path: Path) -> None:
    mine = written(tmp_path, 'base: l4\nsm_count: {value: 58, source: "measured by me"}\n')
    device = load_device(mine)
    assert device.sources["sm_count"] == "measured by me"
    assert device.digest() == load_device("l4").digest()


def test_a_file_of_ones_own_changes_its_base(tmp_path: Path) -> None:
    under = written(tmp_path, "base: l4\nname: under\npeak_flop_per_s: {fp32_vector: 1000000000000}\n", "under.yaml")
    mine = written(tmp_path, f"base: {Path(under).name}\nfaults: {{hang: {{lane: 1, at_ns: 5}}}}\n")
    device, l4 = load_device(f"{mine}:noise_pct=0"), load_device("l4")
    assert device.name == "under"
    assert device.peak_flop_per_s.fp32_vector == 10**12
    assert device.peak_flop_per_s.fp16_tensor == l4.peak_flop_per_s.fp16_tensor
    assert device.faults.hang is not None
    assert (device.faults.hang.lane, device.noise_pct, device.sm_count) == (1, 0, 58)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("base: l4\nsm_cuont: 3\n", "unknown key `sm_cuont`; did you mean `sm_count`"),
        ("base: l4\nfaults: {hangg: {lane: 0, at_ns: 5}}\n", "unknown key `faults.hangg`; did you mean `hang`"),
        ("base: l4\nfaults: {hang: {lane: 0, at: 5}}\n", "unknown key `faults.hang.at`; did you mean `at_ns`"),
        ("base: l4\npeak_flop_per_s: {fp16: 3}\n", "unknown key `peak_flop_per_s.fp16`; did you mean `fp16_tensor`"),
        ("base: l4\nsm_count: -1\n", "`sm_count`"),
        ("base: l4\nnoise_pct: .nan\n", "`noise_pct`"),
        ("base: l4\ndram_achieved_ratio: 1.5\n", "`dram_achieved_ratio`"),
        ("base: mine.yaml\n", "leads back"),
        ("base: 14\n", "`base` must be the name"),
        ("name: x\n", "`capability` is missing"),
        ("[1, 2]", "holds no device"),
        ("a: [", "not valid YAML"),
    ],
)
def test_mistakes_in_a_file_get_one_line(tmp_path: Path, text: str, told: str) -> None:
    mine = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_device(mine)
    assert told in str(caught.value)
    assert mine in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("l44", "did you mean 'l4'"),
        ("quadro", "packaged devices are: a10"),
        ("nowhere.yaml", "no device file nowhere.yaml"),
        ("l4:noise=0", "did you mean `noise_pct`"),
        ("l4:noise_pct", "no `key=value`"),
        ("l4:noise_pct=much", "is no number"),
        ("l4:faults=0", "known keys"),
        ("l4:sm_count=0", "`sm_count`"),
    ],
)
def test_unknown_names_and_options_get_one_line(name: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        load_device(name)
    assert told in str(caught.value)
