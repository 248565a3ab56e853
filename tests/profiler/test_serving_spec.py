"""From the YAML of a serving entry to cells, and from loads to rates."""

from typing import Any

import pytest

from cotenant.models.errors import UserError
from cotenant.profiler.campaign.spec import parse_spec
from cotenant.profiler.experiments.kinds import Cell, EngineKey
from cotenant.profiler.experiments.serving import ServingSpec, cells, seconds
from cotenant.profiler.quality.thresholds import Quality
from cotenant.profiler.serving.deployment import TenantRules, offered_load, rates_of_load, resolve_pieces
from cotenant.runners.protocol import Lane

S = 1_000_000_000
MS = 1_000_000
ENGINES = [EngineKey(model, size, "fp32") for model in ("resnet18", "vgg11") for size in (8, 1, 2, 4)]


def entry(**keys: Any) -> ServingSpec:
    spec = {
        "name": "s",
        "engines": {"models": ["resnet18"]},
        "experiments": [{"kind": "serving", "deployment": [{"model": "resnet18"}], **keys}],
    }
    found = parse_spec(spec, "spec").experiments[0]
    assert isinstance(found, ServingSpec)
    return found


def serving_cells(lanes: int = 2, engines: list[EngineKey] = ENGINES, **keys: Any) -> list[Cell]:
    return [cell for cell in cells(entry(**keys), engines, [Lane()] * lanes) if cell.kind == "serving"]


def test_a_cell_per_load_concurrency_and_repeat() -> None:
    found = serving_cells(loads=[0.3, 0.7], concurrency=[1, 2], repeats=3)
    assert len(found) == 12
    assert {(cell.options["schedule"][0]["load"], cell.options["concurrency"], cell.repeat) for cell in found} == {
        (load, concurrency, repeat) for load in (0.3, 0.7) for concurrency in (1, 2) for repeat in range(3)
    }
    assert [key.batch_size for key in found[0].tenants] == [1, 2, 4, 8]


def test_the_solo_profile_of_the_deployed_engines_in_turns_comes_along() -> None:
    others = [cell for cell in cells(entry(loads=0.5), ENGINES, [Lane()] * 2) if cell.kind != "serving"]
    assert len(others) == 8
    assert {cell.kind for cell in others} == {"sequential"}
    assert all(
        [key.label for key in cell.tenants] == ["resnet18@1", "resnet18@2", "resnet18@4", "resnet18@8"]
        for cell in others
    )


def test_defaults_are_filled_in_and_stored() -> None:
    (cell,) = serving_cells(loads=0.5)
    assert cell.options["concurrency"] == 2, "all lanes"
    assert cell.options["order"] == "fifo"
    assert cell.options["deployment"] == [
        {
            "name": "a", "model": "resnet18", "max_batch": 8, "wait_ns": 2 * MS, "deadline_ns": None,
            "queue_bound": 1024, "sizes": [1, 2, 4, 8], "engines": [0, 1, 2, 3],
        }
    ]  # fmt: skip


def test_tenants_of_one_model_share_engines_and_keep_their_own_rules() -> None:
    deployment = [
        {"model": "vgg11", "max_batch": 3, "wait_us": 500, "deadline_ms": 12.5},
        {"model": "resnet18", "name": "fast", "max_batch": 1, "wait_ms": 0},
        {"model": "vgg11", "queue_bound": 8},
    ]
    (cell,) = serving_cells(deployment=deployment, loads=0.5)
    assert [key.label for key in cell.tenants] == ["vgg11@1", "vgg11@2", "vgg11@4", "resnet18@1", "vgg11@8"]
    first, fast, last = (TenantRules.of(each) for each in cell.options["deployment"])
    assert (first.name, first.sizes, first.engines) == ("a", (1, 2, 4), (0, 1, 2)), "3 takes the engine of 4"
    assert (first.wait_ns, first.deadline_ns) == (500_000, 12_500_000)
    assert (fast.name, fast.sizes, fast.engines, fast.wait_ns) == ("fast", (1,), (3,), 0)
    assert (last.name, last.engines, last.max_batch, last.queue_bound) == ("c", (0, 1, 2, 4), 8, 8)


def test_the_largest_batch_is_what_engines_allow() -> None:
    small = [EngineKey("resnet18", size, "fp32") for size in (1, 2)]
    (cell,) = serving_cells(engines=small, loads=0.5)
    assert cell.options["deployment"][0]["max_batch"] == 2
    with pytest.raises(UserError, match="batches up to 8, but resnet18 has engines up to 2; add 8 to"):
        serving_cells(engines=small, loads=0.5, deployment=[{"model": "resnet18", "max_batch": 8}])


def test_a_schedule_names_tenants_that_come_and_go() -> None:
    deployment = [{"model": "resnet18"}, {"model": "vgg11"}]
    schedule = [{"seconds": 2, "rates": {"a": 50}}, {"seconds": 3, "load": 0.5, "shares": {"a": 1, "b": 3}}]
    (cell,) = serving_cells(deployment=deployment, schedule=schedule)
    assert cell.options["schedule"] == [
        {"length_ns": 2 * S, "rates_per_s": [50.0, 0.0], "load": None, "shares": None},
        {"length_ns": 3 * S, "rates_per_s": None, "load": 0.5, "shares": [1.0, 3.0]},
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "give `loads`, e.g. \\[0.3, 0.7\\], or a `schedule`"),
        ({"loads": 0.5, "schedule": [{"load": 0.5}]}, "give `loads`"),
        ({"loads": [0.5, 0]}, "loads are above 0"),
        ({"schedule": [{"rates": {"a": 1}, "load": 0.5}]}, "give `rates` or `load`"),
        ({"schedule": [{}]}, "give `rates` or `load`"),
        ({"schedule": [{"rates": {"a": 1}, "shares": {"a": 1}}]}, "`shares` divide a `load`"),
        ({"schedule": [{"rates": {"a": -1}}]}, "not below 0"),
        ({"schedule": [{"rates": {"a": 0}}]}, "one at least is above"),
        (
            {"schedule": [{"load": 0.5, "seconds": 1}, {"load": 0.7}]},
            "either every entry of the schedule",
        ),
        ({"schedule": [{"load": 0.5}], "seconds": 3}, "`seconds` goes with `loads`"),
        ({"schedule": [{"rates": {"b": 1}}]}, "names tenant 'b'; `deployment` has: a"),
        ({"loads": 0.5, "concurrency": 3}, "`concurrency` 3 needs as many lanes, there are 2"),
        ({"loads": 0.5, "order": "lifo"}, "unknown order rule 'lifo'; did you mean `fifo`"),
        ({"loads": 0.5, "deployment": [{"model": "vgg13"}]}, "tenant 'a' deploys vgg13, which `engines` does not make"),
        ({"loads": 0.5, "deployment": [{"model": "nonet"}]}, "nonet"),
        ({"loads": 0.5, "deployment": []}, "deployment"),
        ({"loads": 0.5, "deployment": [{"model": "vgg11", "name": "b"}, {"model": "vgg11"}]}, "two tenants named 'b'"),
        (
            {"loads": 0.5, "deployment": [{"model": "vgg11", "wait_ms": 1, "wait_us": 1}]},
            "`wait_us` or `wait_ms`",
        ),
        (
            {"loads": 0.5, "deployment": [{"model": "vgg11", "queue_bound": 4}]},
            "`queue_bound` 4 is below",
        ),
        ({"loads": 0.5, "deployment": [{"model": "vgg11", "max_bach": 4}]}, "unknown key `deployment.0.max_bach`"),
        (
            {"deployment": [{"model": "vgg11"}, {"model": "vgg11"}], "schedule": [{"rates": {"a": 1}}]},
            "tenant 'b' has no requests in any entry",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as told:
        serving_cells(**keys)
    assert "\n" not in str(told.value)


def two_tenants() -> list[TenantRules]:
    return [
        TenantRules("a", "x", 8, 0, None, 100, (1, 8), (0, 1)),
        TenantRules("b", "y", 3, 0, None, 100, (1, 4), (2, 3)),
    ]


SPANS_NS = [5.0 * MS, 16.0 * MS, 3.0 * MS, 9.0 * MS]


def test_load_is_work_that_arrives_over_what_lanes_can_do() -> None:
    # a: 100/s x 16 ms / 8 = 0.2 lanes; b: 50/s x 9 ms / 3 = 0.15 lanes
    assert offered_load(two_tenants(), (100.0, 50.0), SPANS_NS, 1) == pytest.approx(0.35)
    assert offered_load(two_tenants(), (100.0, 50.0), SPANS_NS, 2) == pytest.approx(0.175)


def test_rates_offer_the_load_they_were_made_for_in_the_shares_asked() -> None:
    rates = rates_of_load(two_tenants(), 0.6, (1.0, 3.0), SPANS_NS, 2)
    assert offered_load(two_tenants(), rates, SPANS_NS, 2) == pytest.approx(0.6)
    assert offered_load(two_tenants(), (rates[0], 0.0), SPANS_NS, 2) == pytest.approx(0.15)


def test_a_run_is_long_enough_for_its_window() -> None:
    entry_ = {"length_ns": None, "rates_per_s": None, "load": 0.5, "shares": [1.0, 1.0]}
    (piece,) = resolve_pieces(two_tenants(), [entry_], SPANS_NS, 2)
    assert piece.length_ns >= 1.25 * 50 * 16 * MS
    assert min(piece.rates_per_s) * piece.length_ns / S >= 1.25 * 400
    assert min(piece.rates_per_s) * piece.length_ns / S < 501
    (slow,) = resolve_pieces(two_tenants(), [{**entry_, "load": 50.0}], SPANS_NS, 2)
    assert slow.length_ns == int(1.25 * 50 * 16 * MS) + 1, "fifty of the longest span"
    twice = resolve_pieces(two_tenants(), [entry_, {**entry_, "shares": [1.0, 0.0]}], SPANS_NS, 2)
    assert sum(each.rates_per_s[1] * each.length_ns / S for each in twice) >= 500, "over all pieces"
    asked = resolve_pieces(two_tenants(), [{**entry_, "length_ns": 7}], SPANS_NS, 2)
    assert asked[0].length_ns == 7


def test_the_estimate_grows_with_what_is_asked() -> None:
    (short,) = serving_cells(schedule=[{"seconds": 5, "rates": {"a": 10}}])
    (long,) = serving_cells(schedule=[{"seconds": 50, "rates": {"a": 10}}])
    spans_s = [0.01] * 4
    assert seconds(long, spans_s, Quality()) - seconds(short, spans_s, Quality()) == pytest.approx(45)
    assert 5 < seconds(short, spans_s, Quality()) < 8
