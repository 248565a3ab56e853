"""Probe names are read alike by every runner, and whatever is no name is one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotenant.models.errors import UserError
from cotenant.runners.onnxruntime_cpu.probes import parse_probe as parse_cpu_probe
from cotenant.runners.probe_names import KINDS, ProbeName, is_probe, parse_probe_name
from cotenant.runners.simulated.probes import parse_probe as parse_simulated_probe


@given(st.sampled_from(KINDS), st.integers(0, 100))
def test_names_that_are_written_are_read_back(kind: str, intensity_pct: int) -> None:
    name = f"probe:{kind}:{intensity_pct}"
    parsed = parse_probe_name(name)
    assert (parsed.kind, parsed.intensity_pct, str(parsed)) == (kind, intensity_pct, name)
    assert parse_cpu_probe(name).name == parse_simulated_probe(name).name == name


def test_leading_zeros_name_the_same_probe() -> None:
    assert parse_probe_name("probe:dram:007") == ProbeName("dram", 7)


def refusal(name: str) -> str | None:
    try:
        parse_probe_name(name)
    except UserError as error:
        return str(error)
    return None


@given(st.text(max_size=30))
def test_whatever_else_is_the_users_mistake(rest: str) -> None:
    told = refusal(f"probe:{rest}")
    if told is None:
        kind, _, intensity = rest.partition(":")
        assert parse_probe_name(f"probe:{rest}") == ProbeName(kind, int(intensity))  # type: ignore[arg-type]
    else:
        assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("probe", r"no kind ''; choose one of compute, cache, dram, half"),
        ("probe:dramm:50", r"did you mean 'dram'\?"),
        ("probe:dram", r"intensity '' is no whole number from 0 to 100; write e\.g\. probe:dram:50"),
        ("probe:dram:101", r"intensity '101'"),
        ("probe:dram:-1", r"intensity '-1'"),
        ("probe:dram:+1", r"intensity '\+1'"),
        ("probe:dram:1_0", r"intensity '1_0'"),
        ("probe:dram:٣", r"intensity '٣'"),  # a digit of another script
        ("probe:dram:0100", r"intensity '0100'"),
        ("probe:dram:50:50", r"intensity '50:50'"),
        ("probe:dram:" + "1" * 5000, r"intensity '1{80}\.\.\.'"),  # int() itself refuses more than 4300 digits
        ("probe:" + "d" * 5000 + ":1", r"no kind 'd{80}\.\.\.'"),
    ],
)
def test_what_is_wrong_with_a_name_is_told_in_one_short_line(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as told:
        parse_probe_name(name)
    assert len(str(told.value)) < 400
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "expected"), [("probe", True), ("probe:", True), ("probe:x", True), ("probes", False)]
)
def test_what_is_meant_as_a_probe_is_treated_as_one(name: str, expected: bool) -> None:
    assert is_probe(name) is expected
