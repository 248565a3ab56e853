"""The plain sentence at the end of a pair, from rows as the tables hold them."""

from typing import Any

from cotenant.datasets.verdicts import REASONS
from cotenant.profiler.cli.sentence import NEXT_STEPS, doubts, sentence


def slowdown(tenant: str, ratio: float | None, lower: float = 0, upper: float = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "tenant": tenant,
        "slowdown_ratio": ratio,
        "slowdown_lower_ratio": lower,
        "slowdown_upper_ratio": upper,
        "within_noise": False,
        "stop_reason": "narrow",
    }
    return row | changes


def experiment(gain: float | None = 1.62, *reasons: str) -> dict[str, Any]:
    return {"concurrency_gain_ratio": gain, "verdict_reasons": list(reasons)}


A, B = slowdown("a", 1.318, 1.29, 1.35), slowdown("b", 1.084, 1.06, 1.10)


def test_it_is_the_sentence_of_the_design() -> None:
    assert sentence([A, B], experiment()) == (
        "b slows a 1.32x [1.29, 1.35], a slows b 1.08x [1.06, 1.10]; they ran concurrently (gain 1.6)"
    )


def test_a_slowdown_inside_the_noise_says_so() -> None:
    quiet = slowdown("b", 1.004, 0.99, 1.02, within_noise=True)
    assert "a slows b 1.00x [0.99, 1.02] (within noise);" in sentence([A, quiet], experiment())


def test_turns_are_not_called_concurrent() -> None:
    told = sentence([A, B], experiment(1.01, "serialised"))
    assert told.endswith("they did not run concurrently (gain 1.0)")


def test_lanes_that_waited_for_the_host_are_not_called_concurrent() -> None:
    told = sentence([A, B], experiment(0.3, "enqueue_bound"))
    assert "waited for the host" in told
    assert "concurrently" not in told


def test_each_doubt_says_what_it_means_and_what_to_do() -> None:
    lines = doubts(experiment(1.5, "cap_reached", "oversubscribed"))
    assert len(lines) == 2
    assert "still wide" in lines[0]
    assert "look_quads" in lines[0]
    assert lines[1].endswith("use no more --lanes than there are cores")


def test_next_steps_are_about_reasons_that_there_are() -> None:
    assert NEXT_STEPS.keys() <= REASONS.keys()


def test_unknown_is_said_and_not_guessed() -> None:
    told = sentence([slowdown("a", None), B], experiment(None))
    assert "b slows a by an unknown factor" in told
    assert "whether they ran concurrently is unknown" in told
