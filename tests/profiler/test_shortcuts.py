"""The small campaigns that commands make from options."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cotenant.models.errors import UserError
from cotenant.profiler.campaign.plan import Plan, lanes_of_cell, make_plan
from cotenant.profiler.campaign.shortcuts import (
    Arrangement,
    Service,
    Where,
    batch_sizes,
    colocate_spec,
    lanes_needed,
    serve_spec,
)
from cotenant.profiler.campaign.spec import CampaignSpec

NET, OTHER, PROBE = "resnet18:image=32", "vit_ti_16:image=32", "probe:dram:050"


def kinds(plan: Plan) -> Counter[str]:
    return Counter(planned.cell.kind for planned in plan.cells)


def labels(plan: Plan, kind: str) -> list[list[str]]:
    return [[key.label for key in planned.cell.tenants] for planned in plan.cells if planned.cell.kind == kind]


def served(plan: Plan) -> list[dict[str, object]]:
    return [planned.cell.options for planned in plan.cells if planned.cell.kind == "serving"]


@given(st.integers(1, 5000))
def test_every_batch_has_an_engine_less_than_twice_its_size(max_batch: int) -> None:
    sizes = batch_sizes(max_batch)
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1]) == (1, max_batch)
    for count in range(1, max_batch + 1):
        assert min(size for size in sizes if size >= count) < 2 * count


@pytest.mark.parametrize(
    ("tenants", "arrangement", "kind"),
    [
        ([(NET, 1), (NET, 1)], None, "pair"),
        ([(NET, 1), (NET, 2), (OTHER, 1)], None, "set"),
        ([(NET, 2), (PROBE, 2)], "offset_sweep", "offset_sweep"),
        ([(NET, 1), (OTHER, 1), (NET, 4)], "chain", "chain"),
        ([(NET, 1), (OTHER, 1), (NET, 4), (NET, 1)], "chain", "chain"),
    ],
)
def test_a_colocation_is_its_experiment_with_profiles_and_nulls(
    tenants: list[tuple[str, int]], arrangement: Arrangement | None, kind: str
) -> None:
    lanes = lanes_needed(arrangement or "set", len(tenants))
    spec = colocate_spec(Where(lanes=lanes), *tenants, arrangement=arrangement)
    plan = make_plan(spec)
    wanted = ["probe:dram:50@1" if model == PROBE else f"{model}@{size}" for model, size in tenants]
    assert labels(plan, kind) == [wanted] * (5 if kind == "offset_sweep" else 1)
    assert kinds(plan)["null"] == len(set(wanted))
    assert kinds(plan).keys() == {kind, "null", "solo", "self_test"}
    assert {len(lanes_of_cell(spec, planned.cell)) for planned in plan.cells} == {lanes}


def spec_of(*models: str, lanes: int = 2, **service: object) -> CampaignSpec:
    return serve_spec(Where(lanes=lanes), Service(models, **service))  # type: ignore[arg-type]


def test_serving_has_every_load_at_every_concurrency_and_what_it_refers_to() -> None:
    plan = make_plan(spec_of(NET, OTHER, loads=(0.3, 0.7), concurrencies=(1, 2), max_batch=4))
    assert kinds(plan)["serving"] == 4
    assert kinds(plan)["sequential"] == 8
    assert [key.batch_size for key in plan.engines if key.model == NET] == [4, 1, 2]
    assert sorted(labels(plan, "null")) == [[f"{NET}@4", f"{OTHER}@4"], [f"{OTHER}@4", f"{NET}@1"]]
    assert {tuple(group) for group in labels(plan, "solo")} >= {(f"{NET}@{size}",) for size in (1, 2, 4)}


def test_one_rate_is_that_of_every_tenant_and_a_model_may_be_two_tenants() -> None:
    (options,) = served(make_plan(spec_of(NET, NET, OTHER, rates_per_s=(5.0,), seconds=3.0, deadline_ms=7.5)))
    assert options["schedule"] == [{"length_ns": 3 * 10**9, "load": None, "rates_per_s": [5.0] * 3, "shares": None}]
    deployment = options["deployment"]
    assert isinstance(deployment, list)
    assert [(each["name"], each["model"]) for each in deployment] == [("a", NET), ("b", NET), ("c", OTHER)]
    assert {(each["wait_ns"], each["deadline_ns"], each["max_batch"]) for each in deployment} == {
        (2_000_000, 7_500_000, 8)
    }


def test_a_probe_is_served_one_by_one() -> None:
    (options,) = served(make_plan(spec_of(PROBE, NET, loads=(0.5,))))
    assert [each["max_batch"] for each in options["deployment"]] == [1, 8]  # type: ignore[attr-defined]


def test_one_lane_serves_without_nulls() -> None:
    assert "null" not in kinds(make_plan(spec_of(NET, loads=(0.5,), lanes=1)))


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({}, "--load.*--rate"),
        ({"loads": (0.5,), "rates_per_s": (1.0,)}, "--load.*--rate.*not both"),
        ({"rates_per_s": (1.0, 2.0, 3.0)}, "3 rates.*2 times"),
        ({"loads": (0.5,), "concurrencies": (3,)}, "concurrency.* 3 "),
    ],
)
def test_a_demand_that_cannot_be_is_refused(service: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_plan(spec_of(NET, OTHER, **service))
