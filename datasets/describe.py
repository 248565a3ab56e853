"""Tell in plain words what a dataset holds and says; whatever its values are, this describes what it can."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cotenant.datasets.columns import TABLES
from cotenant.datasets.description import Agreement, Description, Slowdown
from cotenant.datasets.folders import campaign_folder, dataset_folder
from cotenant.datasets.read import read_table, table_files
from cotenant.datasets.trainable import trainable
from cotenant.datasets.undone import undone
from cotenant.datasets.words import KINDS

PROBE_PREFIX = "probe:"
READ = ("devices", "engines", "solo_profiles", "throughputs", "agreements", "experiments", "slowdowns")
Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]


def describe_dataset(folder: Path) -> Description:
    """Describe a campaign folder's dataset, or a dataset on its own.

    Raises:
        UserError: There is none, or one of a newer cotenant.
        WorkError: A table is damaged.
    """
    dataset = dataset_folder(folder)
    row_counts = {name: _row_count(dataset, name) for name in TABLES}
    tables = {name: read_table(dataset, name).to_pylist() for name in READ}
    return describe_tables(str(dataset), tables, row_counts, campaign_folder(folder))


def describe_tables(where: str, tables: Tables, row_counts: dict[str, int], campaign: Path | None) -> Description:
    """Describe rows of the tables READ; `campaign` is the campaign's folder, where what failed and the plan lie."""
    labels = _Labels(tables["engines"])
    profiles = sorted(tables["solo_profiles"], key=lambda row: labels.place(row["engine_id"]))
    experiments = tables["experiments"]
    slowdowns = list(_slowdowns(tables, labels))
    return Description(
        folder=where,
        devices=[_device(row, experiments) for row in tables["devices"]],
        engines=[label for label in labels.known() if _is_model(label)],
        profiles=[_profile(row, labels) for row in profiles if _is_model(labels.of(row["engine_id"]))],
        row_counts=row_counts,
        experiment_counts=dict(sorted(Counter(str(row["kind"]) for row in experiments).items())),
        verdict_counts=dict(sorted(Counter(str(row["verdict"]) for row in experiments).items())),
        reason_counts=dict(
            Counter(str(reason) for row in experiments for reason in row["verdict_reasons"] or ()).most_common()
        ),
        noise_floor_ratios={str(row["device_id"]): row["noise_floor_ratio"] for row in tables["devices"]},
        slowdowns=sorted(slowdowns, key=lambda found: -found.slowdown_ratio),
        slowdown_count=len(slowdowns),
        within_noise_count=sum(found.within_noise is True for found in slowdowns),
        counter_sources=_sources(tables["throughputs"], labels),
        agreements=[_agreement(row) for row in tables["agreements"]],
        predictors=trainable(tables, row_counts),
        missing=list(_missing(tables, labels, campaign)),
    )


class _Labels:
    """Names of engines as people say them: model@batch, with precision and then id where that is not one engine."""

    def __init__(self, engines: Sequence[Row]) -> None:
        ordered = sorted(engines, key=lambda row: (str(row["model"]), row["batch_size"] or 0, str(row["engine_id"])))
        named = {row["engine_id"]: (f"{row['model']}@{row['batch_size']}", f" {row['precision']}") for row in ordered}
        short = Counter(label for label, _ in named.values())
        longer = Counter(named.values())
        self._labels = {
            engine_id: label
            + (precision if short[label] > 1 else "")
            + (f" {engine_id}" if longer[label, precision] > 1 else "")
            for engine_id, (label, precision) in named.items()
        }
        self._places = {engine_id: place for place, engine_id in enumerate(self._labels)}

    def of(self, engine_id: object) -> str:
        """Return an engine's name; its id where the engines table does not have it."""
        return self._labels.get(engine_id, f"engine {engine_id}")

    def place(self, engine_id: object) -> int:
        """Return an engine's place in the order of names."""
        return self._places.get(engine_id, len(self._places))

    def known(self) -> list[str]:
        """Return all names."""
        return list(self._labels.values())

    def without(self, engine_ids: set[object]) -> list[str]:
        """Return the names of all but some engines, sorted."""
        return sorted(label for engine_id, label in self._labels.items() if engine_id not in engine_ids)


def _row_count(dataset: Path, name: str) -> int:
    return sum(int(pq.read_metadata(path).num_rows) for path in table_files(dataset, name))


def _is_model(label: str) -> bool:
    return not label.startswith(PROBE_PREFIX)


def _device(row: Row, experiments: Sequence[Row]) -> str:
    own = [found for found in experiments if found["device_id"] == row["device_id"]]
    part = "cores" if row["kind"] == "cpu" else "SMs"
    return (
        f"{row['name']} ({row['kind']}, {row['sm_count']} {part}) with {_said(own, 'runner', ' and ')}, "
        f"{_said(own, 'lanes', ' or ')} lanes, isolation {_said(own, 'isolation_observed', ' and ')}"
    )


def _said(rows: Iterable[Row], name: str, between: str) -> str:
    values = {row[name] for row in rows if row[name] is not None}
    return between.join(map(str, sorted(values))) or "unknown"


def _profile(row: Row, labels: _Labels) -> str:
    label = labels.of(row["engine_id"]) + _how(row)
    if row["span_p50_ns"] is None:
        return f"{label}: no execution counts"
    text = f"{label}: p50 {row['span_p50_ns'] / 1e6:.2f} ms"
    if row["span_p50_lower_ns"] is not None and row["span_p50_upper_ns"] is not None:
        text += f" [{row['span_p50_lower_ns'] / 1e6:.2f}, {row['span_p50_upper_ns'] / 1e6:.2f}]"
    if row["span_p95_ns"] is not None:
        text += f", p95 {row['span_p95_ns'] / 1e6:.2f} ms"
    if row["throughput_items_per_s"] is not None:
        text += f", {row['throughput_items_per_s']:.1f} items/s"
    return f"{text} (n = {row['sample_count']})"


def _how(row: Row) -> str:
    """Return what sets a solo profile apart from that of the whole device, back to back, with nothing changed."""
    turns = " in turns" if row["pattern"] == "interleaved" else ""
    share = "" if row["share_pct"] is None else f" on {row['share_pct']:g} % of the device"
    return turns + share + ("" if row["condition"] is None else f" ({row['condition']})")


def _slowdowns(tables: Tables, labels: _Labels) -> Iterator[Slowdown]:
    experiments = {row["experiment_id"]: row for row in tables["experiments"]}
    for row in tables["slowdowns"]:
        experiment = experiments.get(row["experiment_id"])
        kind = KINDS.get(row["kind"])
        if experiment is None or kind is None or not kind.beside or row["slowdown_ratio"] is None:
            continue
        if row["kind"] == "sensitivity" and not _is_model(labels.of(row["engine_id"])):
            continue  # how an engine presses on a probe says something of the engine, and stands in sensitivities
        yield Slowdown(
            engine=labels.of(row["engine_id"]),
            beside=[labels.of(engine_id) for engine_id in row["co_engine_ids"] or ()],
            slowdown_ratio=row["slowdown_ratio"],
            slowdown_lower_ratio=row["slowdown_lower_ratio"],
            slowdown_upper_ratio=row["slowdown_upper_ratio"],
            within_noise=row["within_noise"],
            concurrency_gain_ratio=experiment["concurrency_gain_ratio"],
            verdict=str(experiment["verdict"]),
            experiment_id=row["experiment_id"],
        )


def _sources(throughputs: Sequence[Row], labels: _Labels) -> dict[str, int]:
    """Return counter source and set -> engines, probes apart."""
    own = [row for row in throughputs if _is_model(labels.of(row["engine_id"]))]
    return dict(sorted(Counter(_source(row["counter_source"], row["counter_set"]) for row in own).items()))


def _source(source: object, chosen: object) -> str:
    return str(source) if source == chosen else f"{source} {chosen}"


def _agreement(row: Row) -> Agreement:
    return Agreement(
        device_id=str(row["device_id"]),
        metric=str(row["metric"]),
        source=_source(row["counter_source"], row["counter_set"]),
        other=_source(row["other_source"], row["other_set"]),
        engine_count=row["engine_count"],
        rank_correlation=row["rank_correlation"],
        median_ratio=row["median_ratio"],
        median_lower_ratio=row["median_lower_ratio"],
        median_upper_ratio=row["median_upper_ratio"],
    )


def _missing(tables: Tables, labels: _Labels, campaign: Path | None) -> Iterator[str]:
    profiles = tables["solo_profiles"]
    lacking = list(filter(_is_model, labels.without({row["engine_id"] for row in profiles})))
    if lacking:
        yield f"no solo profile of {', '.join(lacking)}: their executions have no slowdown_ratio (experiment `solo`)"
    short = sorted(filter(_is_model, {labels.of(row["engine_id"]) for row in profiles if row["marks"]}))
    if short:
        yield f"solo profiles with too few executions or blocks: {', '.join(short)} (more `repeats`)"
    for row in tables["devices"]:
        if row["noise_floor_ratio"] is None:
            yield f"no noise floor of {row['name']}: no null experiment has bounds (experiment `null`)"
        if row["peak_flop_per_s"] is None:
            yield f"no measured peaks of {row['name']}: throughputs have no percentages"
    exceeding = sum(dict(row["null_reasons"] or ()).get("sm_pct") == "exceeds_peak" for row in tables["throughputs"])
    if exceeding:
        yield f"{exceeding} engines exceed the measured compute peak: their sm_pct is null"
    other = sum(dict(row["null_reasons"] or ()).get("sm_pct") == "other_precision" for row in tables["throughputs"])
    if other:
        yield f"{other} engines compute in another precision than the peak was measured in: no analytic sm_pct"
    if campaign is not None:
        yield from undone(campaign, {str(row["cell_id"]) for row in tables["experiments"]})
