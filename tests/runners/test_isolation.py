"""Isolation modes are checked alike by every runner."""

import pytest

from cotenant.models.errors import UserError
from cotenant.runners.isolation import checked_isolation

MODES = ("streams", "green-contexts", "mps")


def test_no_mode_means_the_first_and_a_known_one_itself() -> None:
    assert checked_isolation(None, MODES, "r") == "streams"
    assert [checked_isolation(mode, MODES, "r") for mode in MODES] == list(MODES)


@pytest.mark.parametrize(
    ("mode", "hint"), [("stream", r"did you mean 'streams'\?"), ("x", "choose one of streams, green-contexts, mps")]
)
def test_an_unknown_mode_names_the_runner_and_the_nearest_mode(mode: str, hint: str) -> None:
    with pytest.raises(UserError, match=rf"unknown isolation '{mode}' for runner r; {hint}"):
        checked_isolation(mode, MODES, "r")
