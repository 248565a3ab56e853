"""How sides are drawn: by keys alone, evenly, and as a plain reading of SplitMix64 draws them."""

import hashlib
import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from cotenant.datasets.splits import concurrency, leave_one_model_out, models, random, run
from cotenant.datasets.splits.chance import of_executions, of_run
from cotenant.datasets.splits.runs import RunFacts, Runs
from cotenant.datasets.splits.way import PART_NAMES, Way

MASK = (1 << 64) - 1
PINNED = (0.7201259803097511, 0.45457362394568024, 0.2893245225919977)  # of one run, and of its first two executions
NAMES = ("alexnet", "resnet18", "vgg11", "vit_ti_16")


def plain(seed: int, experiment_id: str, execution_id: int) -> float:
    start = int.from_bytes(hashlib.sha256(f"{seed}/execution/{experiment_id}".encode()).digest()[:8], "big")
    z = (start + (execution_id + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return ((z ^ (z >> 31)) >> 11) / 2**53


@given(st.integers(0, 2**40), st.text("0123456789abcdef", min_size=1), st.lists(st.integers(0, 2**62), max_size=20))
def test_numbers_are_those_of_the_definition(seed: int, experiment_id: str, ids: list[int]) -> None:
    found = of_executions(seed, experiment_id, np.array(ids, dtype=np.int64)).tolist()
    assert found == [plain(seed, experiment_id, each) for each in ids]


def test_numbers_stay_what_they_are() -> None:
    """Splits that people have published must come out the same from later versions."""
    assert of_run(0, "0123456789abcdef0123") == PINNED[0]
    assert of_executions(7, "0123456789abcdef0123", np.array([0, 1])).tolist() == list(PINNED[1:])


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.text("0123456789abcdef", min_size=20, max_size=20), st.sampled_from([0.1, 0.5, 0.75]))
def test_ratios_lie_within_binomial_bounds(seed: int, experiment_id: str, ratio: float) -> None:
    count = 20_000
    kept = int(np.count_nonzero(of_executions(seed, experiment_id, np.arange(count)) < ratio))
    assert abs(kept - ratio * count) < 6 * math.sqrt(count * ratio * (1 - ratio))


def runs_of(deployed: list[tuple[str, ...]], order: list[int]) -> Runs:
    """Runs made by hand: half of them served, every third at the higher load."""
    found = object.__new__(Runs)
    found.engines = {f"engine-{name}": {"model": name} for name in NAMES}
    facts = [
        RunFacts(
            hashlib.sha256(str(i).encode()).hexdigest()[:20], "serving" if i % 2 else "pair", frozenset(names), None,
            (0.9 if i % 3 else 0.4) if i % 2 else None, len(names), failed=False,
        )
        for i, names in enumerate(deployed)
    ]  # fmt: skip
    found.by_id = {facts[i].experiment_id: facts[i] for i in order}
    return found


WAYS: list[Way] = [
    random.Way(seed=4),
    run.Way(seed=4),
    models.Way(train_models=(NAMES[0],)),
    concurrency.Way(),
    leave_one_model_out.Way(),
]


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(tuple), min_size=2, max_size=12),
    st.randoms(use_true_random=False),
    st.sampled_from(WAYS),
)
def test_parts_depend_on_keys_alone(deployed: list[tuple[str, ...]], shuffle: "object", way: Way) -> None:
    deployed = [(NAMES[0],), (NAMES[1],), *deployed]  # so that every way has something to split by
    order = list(range(len(deployed)))
    one = runs_of(deployed, order)
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    other = runs_of(deployed, order)
    places = np.arange(50)
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    mixed = np.random.default_rng(len(order)).permutation(places)
    assert one.sha256 == other.sha256
    for first, second in zip(way.splits(one), way.splits(other), strict=True):
        assert first.left_out == second.left_out
        trained, tested = set(), set()
        for facts in one.by_id.values():
            engines = [f"engine-{name}" for name in sorted(facts.models)]
            rows = pa.table({"execution_id": places, "engine_id": [engines[i % len(engines)] for i in places]})
            parts = first.rule(facts, rows)
            again = second.rule(facts, rows.take(mixed))
            assert np.array_equal(parts[mixed], again)
            if first.whole_runs:
                assert len(set(parts.tolist())) == 1
            for place, part in zip(rows["engine_id"].to_pylist(), parts.tolist(), strict=True):
                (trained if PART_NAMES[part] == "train" else tested).add((place, PART_NAMES[part], facts.models))
        if first.left_out:
            assert all(first.left_out not in deployed_there for _, _, deployed_there in trained)
            assert {engine for engine, part, _ in tested if part == "test"} == {f"engine-{first.left_out}"}
        if isinstance(way, models.Way):
            seen = {model for _, _, deployed_there in trained for model in deployed_there}
            assert not any(seen & deployed_there for _, part, deployed_there in tested if part == "test2")
