"""Numbers of other tools: converted once and exactly, refused where they can be read in two ways."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotenant.datasets.imports.numbers import NS, PERCENT, duration_ns, number, percentage, whole
from cotenant.models.errors import UserError

PLACES = {"ns": 0, "us": 3, "ms": 6, "s": 9}
AT = "f.csv, line 2, column 'x'"


@given(st.integers(1, 10**15), st.sampled_from(sorted(NS)))
def test_whole_nanoseconds_come_back_whatever_unit_they_are_written_in(ns: int, unit: str) -> None:
    """By another way: the decimal point is moved in the text."""
    assert duration_ns(format(Decimal(ns).scaleb(-PLACES[unit]), "f"), unit, AT) == ns


@given(st.decimals(min_value=Decimal("0.001"), max_value=Decimal(10**6), places=12), st.sampled_from(sorted(NS)))
def test_a_duration_is_within_half_a_nanosecond(value: Decimal, unit: str) -> None:
    exact = Fraction(str(value)) * 10 ** PLACES[unit]
    if exact >= 1:
        assert abs(duration_ns(str(value), unit, AT) - exact) <= Fraction(1, 2)


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_a_float_as_python_writes_it_is_read_exactly(value: float) -> None:
    assert float(number(repr(value), AT)) == value


@given(st.integers(0, 10**6))
def test_a_ratio_is_a_hundredth_of_a_percentage(value: int) -> None:
    text = format(Decimal(value).scaleb(-6), "f")
    assert percentage(text, "ratio", AT, 100.0) == pytest.approx(100 * percentage(text, "percent", AT, 100.0))
    assert set(PERCENT) == {"ratio", "percent"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,234.5", "a comma or a separator"),
        ("1.234,5", "a comma or a separator"),
        ("3,5", "a comma or a separator"),
        ("1 234", "a comma or a separator"),
        ("1'234", "a comma or a separator"),
        ("1_234", "is no number"),
        ("NaN", "is no number"),
        ("inf", "is no number"),
        ("1e999", "is no number"),
        ("5.8ms", "is no number"),
        ("9" * 5000, "is no number"),
        ("1," * 50_000, "is no number"),
        ("\u0665", "is no number"),
        ("", "is no number"),
        ("-1", "is negative"),
        ("0", "is no duration"),
        ("1e30", "is no duration"),
    ],
)
def test_what_is_no_duration_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        duration_ns(text, "ms", AT)
    assert str(refused.value).startswith(AT)
    assert "\n" not in str(refused.value)


def test_percentages_and_counts_have_a_range() -> None:
    with pytest.raises(UserError, match="correct its unit"):
        percentage("55", "ratio", AT, 110.0)
    assert whole("8", AT, 1) == whole("8.0", AT, 1) == 8
    for text in ("0", "8.5", "1e20"):
        with pytest.raises(UserError, match="no whole number"):
            whole(text, AT, 1)
