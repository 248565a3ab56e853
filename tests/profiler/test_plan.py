"""Plans: every cell once, ids that depend on what is measured and on nothing else."""

from pathlib import Path
from typing import Any

import pytest

from cotenant.models.errors import UserError
from cotenant.profiler.campaign.journal import Journal
from cotenant.profiler.campaign.plan import cell_spec, make_plan
from cotenant.profiler.campaign.shortcuts import Where, colocate_spec
from cotenant.profiler.campaign.spec import CampaignSpec, load_spec, parse_spec
from cotenant.profiler.campaign.status import remaining_s
from cotenant.runners.protocol import Lane

BASE: dict[str, Any] = {
    "name": "t",
    "engines": {"models": ["resnet18:image=32", "roberta_tiny:seq=16"], "batch_sizes": [1, 2]},
    "experiments": [{"kind": "pair"}, {"kind": "solo", "repeats": 3}, {"kind": "null", "count": 2}],
}


def spec(**keys: object) -> CampaignSpec:
    return parse_spec({**BASE, **keys}, "t")


def test_a_plan_holds_every_cell_once_and_the_controls_first() -> None:
    plan = make_plan(spec())
    kinds = [planned.cell.kind for planned in plan.cells]
    assert kinds[:4] == ["solo", "solo", "solo", "self_test"]
    assert (kinds.count("pair"), kinds.count("solo"), kinds.count("null")) == (10, 3 + 12, 2)
    assert len({planned.cell_id for planned in plan.cells}) == len(plan.cells)
    assert all(planned.estimated_s > 0 for planned in plan.cells)


def test_repeats_of_a_solo_profile_are_spread_over_the_campaign() -> None:
    plan = make_plan(load_spec("quickstart"))
    places = [i for i, planned in enumerate(plan.cells) if planned.cell.kind == "solo"]
    assert max(places) - min(places[3:]) > len(plan.cells) / 2


def test_ids_and_seeds_do_not_depend_on_order_or_company() -> None:
    whole = {p.cell_id: p.seed for p in make_plan(spec()).cells}
    experiments = list(reversed(BASE["experiments"]))
    assert {p.cell_id: p.seed for p in make_plan(spec(experiments=experiments)).cells} == whole
    fewer = {p.cell_id: p.seed for p in make_plan(spec(experiments=[{"kind": "pair"}])).cells}
    assert fewer.items() <= whole.items()


def test_what_is_measured_changes_the_id_and_the_campaign_seed_only_the_seed() -> None:
    base = make_plan(spec()).cells
    other_seed = make_plan(spec(seed=5)).cells
    assert {p.cell_id for p in base} == {p.cell_id for p in other_seed}
    assert {p.seed for p in base}.isdisjoint({p.seed for p in other_seed})
    other_quality = make_plan(spec(quality={"block_s": 0.2})).cells
    assert {p.cell_id for p in base}.isdisjoint({p.cell_id for p in other_quality})


def test_an_entry_may_have_lanes_of_its_own() -> None:
    triple = {"kind": "set", "sizes": [3], "lanes": 3}
    plan = make_plan(spec(experiments=[*BASE["experiments"], triple]))
    on_three = [planned.cell for planned in plan.cells if planned.cell.lanes is not None]
    assert {(cell.kind, cell.lanes) for cell in on_three} == {
        ("self_test", (Lane(),) * 3),
        ("set", (Lane(),) * 3),
    }
    places = [place for place, planned in enumerate(plan.cells) if planned.cell.kind == "set"]
    assert places == list(range(places[0], len(plan.cells))), "a change of lanes costs a session: one change"
    same = make_plan(spec(experiments=[{**entry, "lanes": 2} for entry in BASE["experiments"]]))
    assert {p.cell_id for p in same.cells} == {p.cell_id for p in make_plan(spec()).cells}


def test_shares_are_part_of_what_is_measured_and_peaks_are_those_of_the_whole_device() -> None:
    shared = make_plan(spec(lanes=[{"share_pct": 40}, {"share_pct": 60}], isolation="mps"))
    whole = make_plan(spec(isolation="mps"))
    peaks = [planned.cell for planned in shared.cells if planned.cell.kind == "solo"][:3]
    assert [cell.lanes for cell in peaks] == [(Lane(),)] * 3
    assert {p.cell_id for p in shared.cells}.isdisjoint({p.cell_id for p in whole.cells})
    assert cell_spec(spec(lanes=[{"share_pct": 40}, {}]), shared.cells[-1].cell)["lane_share_pct"] == [40, None]


@pytest.mark.parametrize(
    ("lanes", "told"),
    [
        (0, "lanes"),
        ([], "lanes"),
        ([{"share_pct": 0}], "greater than 0"),
        ([{"share_pct": 120}], "less than or equal to 100"),
        ([{"share": 50}], "share_pct"),
        ("two", "lanes"),
    ],
)
def test_lanes_that_cannot_be_are_told(lanes: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        spec(lanes=lanes)


def test_models_are_named_in_one_canonical_way() -> None:
    twice = spec(engines={"models": ["resnet18:image=32", "resnet18:image=32"], "batch_sizes": [1, 1]})
    assert len([key for key in make_plan(twice).engines if not key.model.startswith("probe:")]) == 1


def test_probes_are_engines_of_one_batch_size() -> None:
    plan = make_plan(spec(engines={"models": ["probe:dram:070", "resnet18:image=32"], "batch_sizes": [1, 2]}))
    assert [key.label for key in plan.engines if "resnet" in key.model or ":70" in key.model] == [
        "probe:dram:70@1",
        "resnet18:image=32@1",
        "resnet18:image=32@2",
    ]
    assert all(planned.estimated_s > 0 for planned in plan.cells)
    with pytest.raises(UserError, match="did you mean 'dram'"):
        make_plan(spec(engines={"models": ["probe:drum:70"]}))


def test_a_probe_stands_beside_a_model_whatever_the_batch_size() -> None:
    plan = make_plan(colocate_spec(Where(), ("resnet18:image=32", 2), ("probe:dram:070", 2)))
    (pair,) = [planned.cell for planned in plan.cells if planned.cell.kind == "pair"]
    assert [key.label for key in pair.tenants] == ["resnet18:image=32@2", "probe:dram:70@1"]


def test_what_is_left_is_scaled_by_what_finished_experiments_took() -> None:
    cells = [{"cell_id": str(i), "kind": kind, "estimated_s": 10.0} for i, kind in enumerate("aaabbc")]
    assert remaining_s(cells, {}) == 60
    assert remaining_s(cells, {"0": 1.0}) == pytest.approx(5)  # every kind at the one known pace
    assert remaining_s(cells, {"0": 1.0, "1": 3.0, "3": 20.0}) == pytest.approx(2 + 20 + 10 * 24 / 30)
    assert remaining_s(cells, {"0": None}) == 50
    assert remaining_s(cells, {str(i): 1.0 for i in range(6)}) == 0


def test_a_spec_that_measures_nothing_plans_only_engines() -> None:
    plan = make_plan(spec(experiments=[]))
    assert plan.cells == ()
    assert len(plan.engines) == 4


def test_a_bad_model_is_told_before_any_folder_is_made() -> None:
    with pytest.raises(UserError, match="resnet18"):
        make_plan(spec(engines={"models": ["resnet81"]}))


def test_a_folder_belongs_to_one_spec(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "c")
    with journal.opened(spec()):
        pass
    with journal.opened(spec()):
        pass
    with pytest.raises(UserError, match="belongs to another spec"), journal.opened(spec(seed=1)):
        pass


def test_a_folder_is_held_by_one_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "c")
    with journal.opened(spec()), pytest.raises(UserError, match="in use by another"), journal.opened(spec()):
        pass


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="no campaign folder"), Journal(tmp_path).opened(spec()):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
