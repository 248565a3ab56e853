"""Lanes with shares, and entries with lanes of their own: from YAML to a dataset that a known device explains."""

from pathlib import Path
from typing import Any

import pytest

from cotenant.datasets.check import check_dataset
from cotenant.datasets.read import read_table
from cotenant.profiler.campaign.progress import QuietProgress
from cotenant.profiler.campaign.run import run_campaign
from cotenant.profiler.campaign.spec import parse_spec

QUICK = {"look_quads": [2], "block_executions_min": 3, "lead_in_executions": 1, "settle_executions": 1}
BUSY = "probe:compute:100"  # as wide as the device: it takes as long as its share is small


def run(out: Path, **changes: Any) -> Path:
    content = {
        "name": "shares", "runner": "simulated", "device": "l4", "seed": 3, "quality": QUICK,
        "engines": {"models": [BUSY]}, **changes,
    }  # fmt: skip
    outcome = run_campaign(parse_spec(content, "test"), out, out.parent / "cache", QuietProgress())
    assert outcome.failed_count == 0
    assert check_dataset(out).findings == []
    return out


@pytest.mark.parametrize("isolation", ["green-contexts", "mps"])
def test_each_share_has_its_own_solo_profile_and_slowdowns_are_against_it(isolation: str, tmp_path: Path) -> None:
    pair = {"kind": "pair", "pairs": [[f"{BUSY}@1", f"{BUSY}@1"]]}
    lanes = [{"share_pct": 25}, {"share_pct": 75}]
    out = run(tmp_path / "out", isolation=isolation, lanes=lanes, experiments=[{"kind": "solo", "repeats": 2}, pair])
    profiles = {
        row["share_pct"]: row["span_p50_ns"]
        for row in read_table(out, "solo_profiles").to_pylist()
        if row["pattern"] == "back_to_back"
    }
    engines = {row["engine_id"]: row["model"] for row in read_table(out, "engines").to_pylist()}
    assert {25.0, 75.0} <= profiles.keys()
    assert profiles[25.0] / profiles[75.0] == pytest.approx(3.0, rel=0.1), "a third of the SMs, thrice the time"
    slowdowns = [row for row in read_table(out, "slowdowns").to_pylist() if row["kind"] == "pair"]
    assert [engines[row["engine_id"]] for row in slowdowns] == [BUSY] * 2
    for row in slowdowns:
        assert row["slowdown_ratio"] == pytest.approx(1.0, abs=0.05), "SMs of its own, and nothing else in demand"
        assert row["solo_p50_ns"] == pytest.approx(profiles[(25.0, 75.0)[row["lane"]]], rel=0.05)
    (stored,) = (row for row in read_table(out, "experiments").to_pylist() if row["kind"] == "pair")
    assert stored["lane_share_pct"] == [25.0, 75.0]


def test_an_entry_with_lanes_of_its_own_has_a_self_test_of_its_own(tmp_path: Path) -> None:
    experiments = [
        {"kind": "pair", "pairs": [[f"{BUSY}@1", f"{BUSY}@1"]]},
        {"kind": "set", "sizes": [3], "lanes": 3},
    ]
    out = run(tmp_path / "out", experiments=experiments)
    rows = read_table(out, "experiments").to_pylist()
    lanes = {kind: {row["lanes"] for row in rows if row["kind"] == kind} for kind in ("pair", "set", "self_test")}
    assert lanes == {"pair": {2}, "set": {3}, "self_test": {2, 3}}
    # three loads of half the device take one and a half times as long as one of them: the worst pair does not
    makespans = {row["lanes"]: row["self_test_makespan_ratio"] for row in rows if row["kind"] == "self_test"}
    assert makespans.keys() == {2, 3}
    assert all(row["self_test_passed"] for row in rows if row["kind"] in ("pair", "set"))
