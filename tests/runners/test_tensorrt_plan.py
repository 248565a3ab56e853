"""Plan headers: read back whatever was written, and everything that does not fit refused by name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorrt_plans import HEADER_BYTES, RTX_TAG, TENSORRT_TAG, plan_bytes, write_plan

from cotenant.runners.tensorrt.flavour import FLAVOURS, TENSORRT, TENSORRT_RTX, Installed
from cotenant.runners.tensorrt.plan import PlanRefused, check_plan, read_header

RTX = Installed(TENSORRT_RTX, "tensorrt_rtx", "1.7.1.116")
byte = st.integers(0, 255)


@given(st.sampled_from([RTX_TAG, TENSORRT_TAG]), st.tuples(byte, byte, byte, byte), st.integers(HEADER_BYTES, 500))
def test_what_a_header_says_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, tag: bytes, version: tuple[int, int, int, int], byte_count: int
) -> None:
    path = write_plan(tmp_path_factory.getbasetemp() / "any.plan", plan_bytes(tag, version, byte_count))
    header = read_header(path)
    assert header.flavour == (TENSORRT_RTX if tag == RTX_TAG else TENSORRT)
    assert (header.version, header.byte_count) == (version, byte_count)


@given(st.integers(0, 63))
def test_a_plan_cut_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, kept_bytes: int) -> None:
    path = write_plan(tmp_path_factory.getbasetemp() / "cut.plan", plan_bytes()[:kept_bytes])
    with pytest.raises(PlanRefused, match=r"cut short|its header says 64|is no plan"):
        check_plan(path, RTX)


@given(st.binary(max_size=200).filter(lambda data: data[:4] not in [each.plan_tag for each in FLAVOURS]))
def test_junk_is_no_plan(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = write_plan(tmp_path_factory.getbasetemp() / "junk.plan", data)
    with pytest.raises(PlanRefused, match=r"is no plan of TensorRT or TensorRT-RTX"):
        check_plan(path, RTX)


@pytest.mark.parametrize(
    ("data", "built_by"),
    [
        (plan_bytes(TENSORRT_TAG, (11, 4, 0, 106)), "TensorRT 11.4.0.106"),
        (plan_bytes(RTX_TAG, (1, 6, 0, 9)), "TensorRT-RTX 1.6.0.9"),
        (plan_bytes(RTX_TAG, (1, 7, 1, 115)), "TensorRT-RTX 1.7.1.115"),
    ],
)
def test_a_foreign_plan_is_refused_naming_both_sides(tmp_path: Path, data: bytes, built_by: str) -> None:
    path = write_plan(tmp_path / "foreign.plan", data)
    with pytest.raises(PlanRefused) as refused:
        check_plan(path, RTX)
    assert str(refused.value) == (
        f"{path} was built by {built_by}, here is TensorRT-RTX 1.7.1.116; build the engine again"
    )


def test_its_own_plan_is_taken(tmp_path: Path) -> None:
    assert check_plan(write_plan(tmp_path / "own.plan", plan_bytes()), RTX).builder == "TensorRT-RTX 1.7.1.116"


@pytest.mark.parametrize("version", ["10.12.0", "10.12.0.post1", "10.12.0.36"])
def test_installations_may_leave_the_build_number_out(tmp_path: Path, version: str) -> None:
    path = write_plan(tmp_path / "own.plan", plan_bytes(TENSORRT_TAG, (10, 12, 0, 36)))
    assert check_plan(path, Installed(TENSORRT, "tensorrt", version)).version == (10, 12, 0, 36)
    with pytest.raises(PlanRefused):
        check_plan(path, Installed(TENSORRT, "tensorrt", version.replace("10.12", "10.13")))


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    data = bytearray(plan_bytes())
    data[4] = 3
    with pytest.raises(PlanRefused, match="format 3"):
        check_plan(write_plan(tmp_path / "later.plan", bytes(data)), RTX)


def test_a_missing_plan_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanRefused, match="cannot be read"):
        check_plan(tmp_path / "absent.plan", RTX)
