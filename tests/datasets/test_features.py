"""Feature tables of whole datasets: every value by the definition, every null with its reason, byte for byte again."""

import json
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from every_kind import run_every_kind
from features_by_hand import Choices, Run, Vector, features
from raw_campaign import SPANS_NS
from raw_serving import Turns, counters_of

from cotenant.datasets.build import build_dataset
from cotenant.datasets.check import check_dataset
from cotenant.datasets.columns import NAMED_UNITS, THROUGHPUTS
from cotenant.datasets.export import export_dataset
from cotenant.datasets.features.check import feature_faults
from cotenant.datasets.features.choices import make_features
from cotenant.datasets.features.options import METRICS, FeatureOptions
from cotenant.datasets.features.sets import FACTS, FeatureSet, feature_set, feature_sets, table_of_options
from cotenant.datasets.read import read_table
from cotenant.datasets.schema import table_of, unit_of_name
from cotenant.models.digest import digest_id
from cotenant.models.errors import UserError
from cotenant.profiler.cli.dataset.features import command

RESNET, VIT, _ = SPANS_NS
PAPER = METRICS["paper"]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Serving, turns, pairs and a self-test whose probes have no counters; the analytic source is there as well."""
    folder = tmp_path_factory.mktemp("served")
    made = Turns(folder)
    made.self_test()
    counters = counters_of([RESNET, VIT])
    counters[1] |= {"sm_pct": 31.25, "l2_pct": 77.0, "dram_pct": None}
    for label in (RESNET, VIT):
        made.solo(label, repeats=1)
    for _ in range(8):
        made.sequential([RESNET, VIT])
    made.serving([RESNET, VIT], counters=counters)
    made.pair(RESNET, VIT)
    build_dataset(folder)
    return folder


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_every_kind(tmp_path_factory.mktemp("every_kind"))


def throughputs(folder: Path, options: FeatureOptions, engines: list[str]) -> list[Vector]:
    found: list[Vector] = [[None] * len(options.columns) for _ in engines]
    for row in read_table(folder, "throughputs").to_pylist():
        if (row["counter_source"], row["counter_set"]) == (options.source, options.counter_set):
            values = [row[name] for name in options.columns]
            found[engines.index(row["engine_id"])] = [None if v is None else Fraction(v) for v in values]
    return found


def groups_of(options: FeatureOptions) -> dict[str, str]:
    """Group in the oracle -> in column names."""
    names = ("self", "static", "static_start", "weighted")
    return {
        **{name: name for name in names},
        **{f"ewma {k}": f"ewma_{label}" for k, label in enumerate(options.labels)},
    }


def compare(folder: Path, found: FeatureSet) -> None:
    """Every feature of every row is what the oracle says of the executions."""
    options = found.options
    engines = read_table(folder, "engines")["engine_id"].to_pylist()
    choices = Choices(
        [Fraction(a) for a in options.alphas],
        options.ewma_start == "zero",
        options.coalesce_ns,
        options.combine == "max",
    )
    known = throughputs(folder, options, engines)
    open_blocks = {
        (row["experiment_id"], row["block_index"])
        for row in read_table(folder, "blocks").to_pylist()
        if row["arm"] == "serving"
    }
    executions, rows = read_table(folder, "executions").to_pylist(), found.read().to_pylist()
    assert len(executions) == len(rows)
    for experiment_id in dict.fromkeys(row["experiment_id"] for row in executions):
        own = [row for row in executions if row["experiment_id"] == experiment_id]
        runs = [
            Run(r["lane"], engines.index(r["engine_id"]), r["dispatched_ns"], r["start_ns"], r["end_ns"]) for r in own
        ]
        told = [row for row in rows if row["experiment_id"] == experiment_id]
        for run, row, expected in zip(own, told, features(runs, known, choices), strict=True):
            assert run["execution_id"] == row["execution_id"]
            closed = (experiment_id, run["block_index"]) not in open_blocks
            for group, name in groups_of(options).items():
                for metric, value in zip(options.columns, expected[group], strict=True):
                    unknown = value is None or (closed and group == "static")
                    wanted = None if unknown else pytest.approx(float(value or 0), rel=1e-12, abs=1e-12)
                    assert row[f"{name}_{metric}"] == wanted, (name, metric, row)


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"alphas": ("0.25",), "ewma_start": "zero", "coalesce_ns": 0, "combine": "max"},
        {"coalesce_ns": 5_000_000, "metrics": ("paper", "bytes_per_s")},
    ],
)
@pytest.mark.parametrize("campaign", ["served", "every_kind"])
def test_every_row_is_what_the_definition_says(campaign: str, chosen: Row, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(campaign)
    found = make_features(folder, source="analytic" if "metrics" in chosen else None, **chosen).set
    compare(folder, found)
    assert list(feature_faults(folder / "dataset")) == []


def test_targets_and_labels_are_those_of_the_other_tables(served: Path) -> None:
    found = make_features(served, denominator="p95").set
    rows = found.read().to_pylist()
    engines = {row["engine_id"]: row for row in read_table(served, "engines").to_pylist()}
    experiments = {row["experiment_id"]: row for row in read_table(served, "experiments").to_pylist()}
    executions = read_table(served, "executions").to_pylist()
    copied = ("tenant", "lane", "role", "censored", "co_censored", "marks", "span_ns", "slowdown_ratio", "device_id")
    for run, row in zip(executions, rows, strict=True):
        assert {name: run[name] for name in copied} == {name: row[name] for name in copied}
        own, experiment = engines[row["engine_id"]], experiments[row["experiment_id"]]
        assert (row["model"], row["batch_size"]) == (own["model"], own["batch_size"])
        for name in ("verdict", "condition", "concurrency", "lanes", "offered_load", "kind"):
            assert row[name] == experiment[name]
        if row["solo_p50_ns"] is None:
            assert row["lost_fraction"] is row["slowdown_ratio"] is None
            continue
        assert row["span_ns"] / row["solo_p50_ns"] == row["slowdown_ratio"]
        assert row["span_ns"] / row["solo_p95_ns"] == row["interference_ratio"]
        assert row["lost_fraction"] == pytest.approx(1 - row["solo_p95_ns"] / row["span_ns"], rel=1e-15)
    assert {row["censored"] for row in rows} == {"none", "left", "right"}, "censored rows stay"


def test_what_was_known_at_dispatch_is_one_number_each(served: Path) -> None:
    found = make_features(served).set
    rows = found.read().to_pylist()
    experiments = {row["experiment_id"]: row for row in read_table(served, "experiments").to_pylist()}
    solo = {row["engine_id"]: row["solo_p50_ns"] for row in rows if row["kind"] == "serving"}
    seen = 0
    for run, row in zip(read_table(served, "executions").to_pylist(), rows, strict=True):
        if run["queued_count"] is None:
            assert row["in_flight_count"] is row["queued_own_count"] is row["arrival_load_ratio"] is None
            continue
        seen += 1
        tenants = experiments[run["experiment_id"]]["tenants"]
        own = tenants.index(run["tenant"])
        others = [place for place in range(len(tenants)) if place != own]
        assert row["in_flight_count"] == len(run["in_flight_execution_ids"])
        assert row["remaining_solo_sum_ns"] == sum(run["remaining_solo_ns"])
        assert row["remaining_solo_max_ns"] == max(run["remaining_solo_ns"], default=0)
        assert row["queued_own_count"] == run["queued_count"][own]
        assert row["queued_other_count"] == sum(run["queued_count"][place] for place in others)
        assert row["queue_age_own_ns"] == run["queue_age_ns"][own]
        ages = [run["queue_age_ns"][place] for place in others if run["queue_age_ns"][place] is not None]
        assert row["queue_age_other_ns"] == max(ages, default=None)
        rates = run["arrival_items_per_s"]
        assert row["arrival_own_items_per_s"] == rates[own]
        known = all(rate is not None for rate in rates)
        assert row["arrival_other_items_per_s"] == (sum(rates[place] for place in others) if known else None)
        load = sum(rate * solo[digest_id(label)] / 1e9 / 2 for rate, label in zip(rates, (RESNET, VIT), strict=True)) \
            if known else None  # fmt: skip
        assert row["arrival_load_ratio"] == (None if load is None else pytest.approx(load, rel=1e-12))
    assert seen == 320


def test_every_null_has_its_reason(served: Path) -> None:
    found = make_features(served, source="simulated").set
    by_kind: dict[str, dict[str, list[str]]] = {}
    experiments = {row["experiment_id"]: row["kind"] for row in read_table(served, "experiments").to_pylist()}
    for experiment_id, reasons in found.null_reasons.items():
        by_kind[experiments[experiment_id]] = reasons
    serving, pair, self_test = by_kind["serving"], by_kind["pair"], by_kind["self_test"]
    assert pair["static_sm_pct"] == ["closed_loop"]
    assert "static_start_sm_pct" not in pair
    assert pair["queued_own_count"] == pair["concurrency"] == ["closed_loop"]
    assert serving["static_sm_pct"] == ["closed_loop"], "of its turns"
    assert serving["weighted_dram_pct"] == serving["self_dram_pct"] == ["not_reported"]
    assert "weighted_sm_pct" not in serving
    assert serving["queue_age_own_ns"] == ["closed_loop", "no_queue"]
    assert serving["arrival_load_ratio"] == ["closed_loop", "no_arrival"]
    assert self_test["self_sm_pct"] == self_test["ewma_50_sm_pct"] == ["no_counters"]
    assert self_test["lost_fraction"] == self_test["solo_p50_ns"] == ["no_profile"]
    for row in found.read().to_pylist():
        told = found.null_reasons[row["experiment_id"]]
        assert all(told.get(name) for name, value in row.items() if value is None)


def test_unknown_is_never_zero(served: Path) -> None:
    rows = make_features(served, source="simulated").set.read().to_pylist()
    vit = digest_id(VIT)
    pairs = [row for row in rows if row["kind"] == "pair" and row["role"] == "main"]
    assert all((row["self_dram_pct"] is None) == (row["engine_id"] == vit) for row in pairs)
    beside = [row for row in pairs if row["engine_id"] != vit]
    assert any(row["weighted_dram_pct"] is None for row in beside)
    assert all(row["weighted_sm_pct"] is not None for row in beside)
    alone = [row for row in rows if row["role"] == "solo" and row["kind"] == "solo"]
    assert {row["weighted_dram_pct"] for row in alone} == {0.0}


def test_null_for_two_reasons_tells_both(every_kind: Path, tmp_path: Path) -> None:
    """Of batches of requests beside an engine whose counter is unknown, and of the turns of the same experiment."""
    shutil.copytree(every_kind / "dataset", tmp_path / "dataset", ignore=shutil.ignore_patterns("features"))
    rows = read_table(tmp_path / "dataset", "throughputs").to_pylist()
    for row in rows:
        if row["counter_source"] == "simulated":
            row |= {"dram_pct": None, "null_reasons": [*row["null_reasons"], ("dram_pct", "not_measured")]}
    pq.write_table(table_of(THROUGHPUTS, rows), tmp_path / "dataset" / "throughputs" / "part-0.parquet")
    found = make_features(tmp_path / "dataset", source="simulated").set
    kinds = {row["experiment_id"]: row["kind"] for row in read_table(every_kind, "experiments").to_pylist()}
    told = {kinds[experiment_id]: reasons for experiment_id, reasons in found.null_reasons.items()}
    assert told["serving"]["static_dram_pct"] == ["closed_loop", "not_measured"]
    assert told["pair"]["static_dram_pct"] == ["closed_loop"]
    assert told["pair"]["ewma_67_dram_pct"] == ["not_measured"]
    assert list(feature_faults(tmp_path / "dataset")) == []


def test_the_best_source_that_covers_all_engines_is_taken_and_none_is_mixed(served: Path, every_kind: Path) -> None:
    assert make_features(every_kind).set.options.source == "simulated"
    assert make_features(served).set.options.source == "analytic", "the other does not tell dram_pct of one engine"
    assert make_features(served, source="simulated").set.options.counter_set == "law"
    rows = make_features(served, source="simulated").set.read().to_pylist()
    told = {(row["engine_id"], row["self_sm_pct"]) for row in rows if row["kind"] != "self_test"}
    assert told == {(digest_id(RESNET), 50.0), (digest_id(VIT), 31.25)}
    with pytest.raises(UserError, match=r"no throughputs of ncu in this dataset; there are: analytic"):
        make_features(served, source="ncu")


def test_sets_lie_side_by_side_and_deriving_again_gives_the_same_bytes(every_kind: Path) -> None:
    first = make_features(every_kind, alphas=("1/2",)).set
    before = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    assert set(before) == {"part-0.parquet", FACTS}
    other = make_features(every_kind, name="mine").set
    assert make_features(every_kind, alphas=("0.5",)).set.folder == first.folder
    assert {path.name: path.read_bytes() for path in first.folder.iterdir()} == before
    assert {first.name, "mine"} <= {each.name for each in feature_sets(every_kind)}
    assert feature_set(every_kind, "mine") == other
    assert [path.name for path in (every_kind / "dataset" / "features").iterdir() if path.name.startswith(".")] == []
    with pytest.raises(UserError, match="name one"):
        feature_set(every_kind)


def test_a_partitioned_copy_gives_the_same_rows(served: Path, tmp_path: Path) -> None:
    export_dataset(served, str(tmp_path / "copy"))
    assert len(list((tmp_path / "copy" / "executions").rglob("*.parquet"))) > 1
    one, other = make_features(served).set, make_features(tmp_path / "copy").set
    assert one.read().to_pylist() == other.read().to_pylist()


def test_metadata_says_what_was_chosen(served: Path) -> None:
    found = make_features(served, coalesce_ns=7, ewma_start="zero").set
    metadata = json.loads(pq.read_schema(found.path).metadata[b"cotenant_features"])
    assert metadata["options"] == found.options.as_dict()
    assert metadata["options"]["coalesce_ns"] == 7
    assert json.loads((found.folder / FACTS).read_text())["options"] == metadata["options"]
    for field in pq.read_schema(found.path):
        assert field.metadata[b"description"]
    assert pq.read_schema(found.path).field("ewma_33_sm_pct").metadata[b"unit"] == b"percent"


def test_units_stand_in_names() -> None:
    options = FeatureOptions("ncu", "basic", tuple(name for name in METRICS if name != "issue"))
    for column in table_of_options(options).columns:
        if column.name not in ("lost_fraction", "offered_load"):
            assert column.unit == unit_of_name(column.name), column.name
    assert "lost_fraction" not in NAMED_UNITS
    assert len({column.name for column in table_of_options(options).columns}) == len(table_of_options(options).columns)


def test_names_tell_choices_apart() -> None:
    changes: list[Row] = [
        {}, {"metrics": ("paper", "tensor")}, {"metrics": ("tensor",)}, {"alphas": ("1/3",)}, {"alphas": ("0.334",)},
        {"ewma_start": "zero"}, {"coalesce_ns": 0}, {"combine": "max"}, {"denominator": "p95"},
        {"combine": "max", "denominator": "p95"},
    ]  # fmt: skip
    names = [FeatureOptions("ncu", "basic", **change).name for change in changes]
    assert names[0] == "ncu-basic-paper"
    assert len(set(names)) == len(names)
    assert FeatureOptions("ncu", "basic", ("tensor", "paper")).name == names[1], "whatever the order"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--alpha", "0"], "alpha 0 is not above 0"),
        (["--alpha", "1/0"], "is no number"),
        (["--alpha", "1/3", "--alpha", "0.33"], "the same in percent"),
        (["--metrics", "papre"], "metrics papre; choose from paper"),
        (["--ewma-start", "one"], "is none of first, zero"),
        (["--combine", "mean"], "is none of sum, max"),
        (["--denominator", "p50 "], "is none of p50, p95"),
        (["--coalesce-ns", "-1"], "coalesce_ns is -1"),
        (["--source", "gpm"], "no throughputs of gpm in this dataset"),
        (["--name", "../there"], "is no name of a feature set"),
    ],
)
def test_wrong_choices_are_told_in_one_line(served: Path, arguments: list[str], told: str) -> None:
    done = CliRunner().invoke(command, [str(served), *arguments])
    assert isinstance(done.exception, UserError)
    assert told in str(done.exception)
    assert "\n" not in str(done.exception)


def test_the_command_says_where_it_is_and_what_is_unknown(served: Path) -> None:
    done = CliRunner().invoke(command, [str(served), "--source", "simulated", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert Path(told["features"]) == served / "dataset" / "features" / "simulated-law-paper"
    assert told["unknown_counts"]["self_dram_pct"] > told["unknown_counts"]["self_sm_pct"] > 0
    plain = CliRunner().invoke(command, [str(served), "--source", "simulated"]).output
    assert "counters: simulated, set law" in plain
    assert "self_dram_pct is unknown in" in plain


@pytest.fixture
def fresh(served: Path) -> Iterator[FeatureSet]:
    """The only feature set of the dataset."""
    for found in feature_sets(served):
        for path in found.folder.iterdir():
            path.unlink()
        found.folder.rmdir()
    yield make_features(served, source="simulated").set
    make_features(served, source="simulated")


def put(found: FeatureSet, name: str, values: list[Any]) -> None:
    rows = found.read()
    place = rows.column_names.index(name)
    field = rows.schema.field(name)
    pq.write_table(rows.set_column(place, field, pa.array(values, field.type)), found.path)


@pytest.mark.parametrize(
    ("column", "told"),
    [("ewma_50_l2_pct", "not what its executions say"), ("span_ns", "not what"), ("tenant", "not what")],
)
def test_a_changed_value_is_found(fresh: FeatureSet, served: Path, column: str, told: str) -> None:
    values = fresh.read()[column].to_pylist()
    place = next(index for index, value in enumerate(values) if value and values[index - 1] != value)
    values[place] = values[place - 1] or 1.0
    put(fresh, column, values)
    (fault,) = feature_faults(served / "dataset")
    assert fault[0] == "features/simulated-law-paper"
    assert column in fault[1]
    assert told in fault[1]


def test_the_datasets_check_looks_at_feature_sets(fresh: FeatureSet, served: Path) -> None:
    sound = check_dataset(served)
    assert sound.findings == []
    assert sound.checked[-1] == "features"
    put(fresh, "self_sm_pct", [99.0] * fresh.read().num_rows)
    (found,) = check_dataset(served).findings
    assert (found.check, found.table) == ("features", "features/simulated-law-paper")


def test_nan_and_negative_values_are_found(fresh: FeatureSet, served: Path) -> None:
    put(fresh, "weighted_sm_pct", [np.nan, *fresh.read()["weighted_sm_pct"].to_pylist()[1:]])
    assert any("NaN" in message for _, message in feature_faults(served / "dataset"))
    put(fresh, "weighted_sm_pct", [-1.0, *fresh.read()["weighted_sm_pct"].to_pylist()[1:]])
    assert any("goes down to -1" in message for _, message in feature_faults(served / "dataset"))


def test_features_of_other_tables_are_told_to_be_out_of_date(fresh: FeatureSet, served: Path) -> None:
    path = served / "dataset" / "throughputs" / "part-0.parquet"
    sound = pq.read_table(path)
    changed = sound.set_column(
        sound.column_names.index("sm_pct"), sound.schema.field("sm_pct"), pa.array([1.0] * sound.num_rows)
    )
    try:
        pq.write_table(changed, path)
        ((_, message),) = feature_faults(served / "dataset")
        assert "derived from other tables" in message
    finally:
        pq.write_table(sound, path)


def test_missing_rows_columns_and_facts_are_found(fresh: FeatureSet, served: Path) -> None:
    sound = fresh.read()
    pq.write_table(sound[:-1], fresh.path)
    assert any("another number of rows" in message for _, message in feature_faults(served / "dataset"))
    pq.write_table(sound.drop_columns(["weighted_sm_pct"]), fresh.path)
    assert any("lacks column weighted_sm_pct" in message for _, message in feature_faults(served / "dataset"))
    pq.write_table(sound, fresh.path)
    facts = json.loads((fresh.folder / FACTS).read_text())
    (fresh.folder / FACTS).write_text(json.dumps({**facts, "null_reasons": []}))
    assert any("does not say why" in message for _, message in feature_faults(served / "dataset"))
    (fresh.folder / FACTS).unlink()
    assert any("is missing, damaged" in message for _, message in feature_faults(served / "dataset"))


@pytest.mark.parametrize(("version", "error"), [("1.7", None), ("2.0", UserError)])
def test_newer_features_are_read_or_refused(
    fresh: FeatureSet, served: Path, version: str, error: type[Exception] | None
) -> None:
    rows = fresh.read()
    facts = json.loads(rows.schema.metadata[b"cotenant_features"])
    changed = {**rows.schema.metadata, b"cotenant_features": json.dumps({**facts, "version": version}).encode()}
    pq.write_table(rows.replace_schema_metadata(changed), fresh.path)
    if error is None:
        assert feature_set(served).version == version
    else:
        with pytest.raises(error, match="install a newer"):
            feature_set(served)


def test_a_foreign_file_is_no_feature_set(fresh: FeatureSet, served: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), fresh.path)
    ((_, message),) = feature_faults(served / "dataset")
    assert "no feature table" in message
