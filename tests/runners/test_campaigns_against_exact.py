"""Whole campaigns on the simulated device: every stamp is the exact GPU's, and the dataset holds the truth's intervals.

Networks of three kernels of some microseconds, so that the exact GPU, in plain rational numbers, can follow.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exact_defects import CarryDropped, StaleRate
from exact_gpu import ExactGpu
from exact_progress import Stretch, joined
from exact_rates import ONE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from observed_campaign import Watched, run_watched
from tiny_campaign import write_net

from cotenant.datasets.check import check_dataset
from cotenant.datasets.read import read_table

QUALITY = {
    "look_quads": [2], "block_s": 2e-4, "block_executions_min": 3, "lead_in_s": 2e-5, "lead_in_executions": 1,
    "settle_s": 4e-5, "settle_executions": 2, "rest_s": 2e-5, "hang_s": 1.0,
}  # fmt: skip
KINDS = ("solo", "pair", "set", "offset_sweep", "chain", "sequential", "null", "sensitivity", "serving")
ISOLATIONS = ("streams", "processes", "mps", "green-contexts")


SMALL_GPU = """# so small that two networks of three kernels get into each other's way
base: l4
name: small
sm_count: 1
l2_bytes: 65536
l2_bytes_per_s: 60000000000
dram_bytes_per_s: 6000000000
"""


def entry(kind: str, lanes: int, labels: list[str]) -> dict[str, Any]:
    """One cell or a few of a kind with tenants on all lanes."""
    of_kind: dict[str, dict[str, Any]] = {
        "solo": {"repeats": 1, "executions": 4},
        "pair": {"pairs": [labels[:2]]},
        "set": {"sets": [[labels[i % len(labels)] for i in range(lanes)]]},
        "offset_sweep": {"pairs": [labels[:2]], "offsets": [0.0, 0.6]},
        "chain": {"chains": [[labels[i % len(labels)] for i in range(lanes + 1)]]},
        "sequential": {"sets": [labels], "repeats": 1, "rounds": 3},
        "null": {"count": 1},
        "sensitivity": {"engines": labels[:1], "probes": ["dram"], "intensities_pct": [100], "calibration_pct": []},
        "serving": {
            "deployment": [{"model": label.partition("@")[0], "max_batch": 1, "wait_us": 20} for label in labels],
            "loads": [0.7], "seconds": 1e-3, "turns": 2,
        },
    }  # fmt: skip
    return {"kind": kind, **of_kind[kind]}


def spec(folder: Path, kinds: list[str], lanes: int, **changes: Any) -> dict[str, Any]:
    nets = [write_net(folder / f"net{i}.onnx", seed=i, channels=16 << i, side=32) for i in range(2)]
    models = [f"file:{net}" for net in nets]
    (folder / "small.yaml").write_text(SMALL_GPU)
    return {
        "name": "watched", "runner": "simulated", "device": f"{folder / 'small.yaml'}", "lanes": lanes, "seed": 5,
        "engines": {"models": models, "batch_sizes": [1]},
        "experiments": [entry(kind, lanes, [f"{model}@1" for model in models]) for kind in kinds],
        "quality": QUALITY, **changes,
    }  # fmt: skip


EVENTS = 1500  # that the exact GPU follows, from the start of each session: some thousand a second


def assert_exact(session: Watched, gpu: type[ExactGpu] = ExactGpu) -> None:
    until_ns = session.time_of_event(EVENTS)
    exact = session.exact(until_ns, gpu)
    found = {c.ticket: (c.start_ns, c.end_ns) for c in session.completions if c.end_ns <= until_ns}
    assert found == {i: (exact.start_ns[i], end) for i, end in enumerate(exact.end_ns) if end is not None}
    assert joined(clipped(session.stretches(), until_ns)) == joined(clipped(exact.stretches, until_ns))


def assert_all_exact(sessions: list[Watched], gpu: type[ExactGpu]) -> None:
    for session in sessions:
        assert_exact(session, gpu)


def clipped(stretches: list[Stretch], until_ns: int) -> list[Stretch]:
    return [replace(each, t1_ns=min(each.t1_ns, until_ns)) for each in stretches if each.t0_ns < until_ns]


def assert_dataset_holds_the_truth(out: Path, sessions: list[Watched]) -> None:
    """Each execution's intervals have the truth's live sets, and its rates over them add up to its work."""
    executions, overlaps = (read_table(out, name).to_pandas() for name in ("executions", "overlaps"))
    unmatched = set(executions.experiment_id.astype(str))
    for session in sessions:
        stamps = {(c.lane, c.start_ns, c.end_ns): c.ticket for c in session.completions}
        experiment_id = next(
            (found for found in unmatched if _is_of(executions[executions.experiment_id == found], stamps)), None
        )
        assert experiment_id is not None, "every session is an experiment of the dataset"
        unmatched.remove(experiment_id)
        rows = executions[executions.experiment_id == experiment_id]
        tickets = {row.execution_id: stamps[row.lane, row.start_ns, row.end_ns] for row in rows.itertuples()}
        own = overlaps[overlaps.experiment_id == experiment_id]
        _assert_intervals(session, tickets, own)
    assert not unmatched


def _is_of(rows: Any, stamps: dict[tuple[int, int, int], int]) -> bool:
    keys = set(zip(rows.lane, rows.start_ns, rows.end_ns, strict=True))
    return keys <= set(stamps) and len(keys) > 0


def _assert_intervals(session: Watched, tickets: dict[int, int], overlaps: Any) -> None:
    truth: dict[int, list[tuple[int, int, int]]] = {}
    for stretch in session.stretches():
        truth.setdefault(stretch.execution, []).append((stretch.t0_ns, stretch.t1_ns, stretch.rate))
    known = np.array(sorted(tickets.values()))
    begins = np.array([truth[ticket][0][0] for ticket in known])
    ends = np.array([truth[ticket][-1][1] for ticket in known])
    work: dict[int, int] = {}
    intervals: dict[int, int] = {}
    for row in overlaps.itertuples():
        ticket = tickets[row.execution_id]
        live = known[(begins < row.end_ns) & (ends > row.start_ns) & (known != ticket)]
        assert {tickets[other] for other in row.co_execution_ids} == set(live.tolist())
        done = sum(max(0, min(t1, row.end_ns) - max(t0, row.start_ns)) * rate for t0, t1, rate in truth[ticket])
        work[ticket] = work.get(ticket, 0) + done
        intervals[ticket] = intervals.get(ticket, 0) + 1
    for ticket, done in work.items():
        beyond_ns = (done - session.work_units(ticket)) / ONE
        assert 0 <= beyond_ns <= intervals[ticket], "within 1 ns per overlap interval"


@pytest.mark.parametrize("lanes", [2, 3, 4])
def test_every_kind_of_experiment_is_exact(lanes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, sessions = run_watched(spec(tmp_path, list(KINDS), lanes), tmp_path, monkeypatch)
    assert outcome.failed_count == 0
    assert len(sessions) == outcome.planned_count
    for session in sessions:
        assert_exact(session)
    assert_dataset_holds_the_truth(outcome.folder, sessions)
    kinds = read_table(outcome.folder, "experiments")["kind"].to_pylist()
    assert set(kinds) == {*KINDS, "self_test"}
    assert check_dataset(outcome.folder).findings == []


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True),
    lanes=st.integers(2, 4),
    isolation=st.sampled_from(ISOLATIONS),
    noise_pct=st.sampled_from((0, 2, 30)),
    seed=st.integers(0, 2**31),
)
def test_random_small_campaigns_are_exact(
    kinds: list[str], lanes: int, isolation: str, noise_pct: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("campaign")
    changes = {
        "isolation": isolation,
        "device": f"{folder / 'small.yaml'}:noise_pct={noise_pct},slice_ns=40000",
        "seed": seed,
    }
    with pytest.MonkeyPatch.context() as monkeypatch:
        outcome, sessions = run_watched(spec(folder, kinds, lanes, **changes), folder, monkeypatch)
    for session in sessions:
        assert_exact(session)
    assert_dataset_holds_the_truth(outcome.folder, sessions)


@pytest.fixture(scope="module")
def pair_sessions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Watched]]:
    folder = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as monkeypatch:
        outcome, sessions = run_watched(spec(folder, ["pair", "set"], 3), folder, monkeypatch)
    return outcome.folder, sessions


@pytest.mark.parametrize("defect", [CarryDropped, StaleRate])
def test_a_planted_defect_of_the_law_is_seen(defect: type[ExactGpu], pair_sessions: tuple[Path, list[Watched]]) -> None:
    """The other defects need ties and turns, which test_simulated_against_exact.py plants."""
    with pytest.raises(AssertionError):
        assert_all_exact(pair_sessions[1], defect)


@pytest.mark.parametrize("planted", ["dropped interval", "wrong neighbour", "stale rate"])
def test_a_planted_defect_of_the_dataset_is_seen(planted: str, pair_sessions: tuple[Path, list[Watched]]) -> None:
    out, sessions = pair_sessions
    executions, overlaps = (read_table(out, name).to_pandas() for name in ("executions", "overlaps"))
    pairs = executions[executions.kind == "pair"]
    experiment_id = pairs.experiment_id.iloc[0]
    rows = pairs[pairs.experiment_id == experiment_id]
    session = next(
        s for s in sessions if _is_of(rows, {(c.lane, c.start_ns, c.end_ns): c.ticket for c in s.completions})
    )
    stamps = {(c.lane, c.start_ns, c.end_ns): c.ticket for c in session.completions}
    tickets = {row.execution_id: stamps[row.lane, row.start_ns, row.end_ns] for row in rows.itertuples()}
    own = overlaps[overlaps.experiment_id == experiment_id].reset_index(drop=True)
    _assert_intervals(session, tickets, own)
    crowded = int(np.flatnonzero(own.co_count > 0)[5])
    if planted == "dropped interval":
        own = own.drop(index=crowded)
    elif planted == "wrong neighbour":
        own.at[crowded, "co_execution_ids"] = np.array([], np.int64)
    else:
        own.at[crowded, "end_ns"] = own.at[crowded, "end_ns"] + 2000
    with pytest.raises(AssertionError):
        _assert_intervals(session, tickets, own)
