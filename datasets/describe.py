"""Tell in plain words what a dataset holds and says."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cotenant.datasets.columns import TABLES
from cotenant.datasets.folders import campaign_folder, dataset_folder
from cotenant.datasets.read import read_table, table_files
from cotenant.datasets.undone import undone
from cotenant.datasets.verdicts import REASONS

SLOWDOWNS_SHOWN = 5
REASONS_SHOWN = 12
PROBE_PREFIX = "probe:"
Row = dict[str, Any]


@dataclass(frozen=True)
class Slowdown:
    """One tenant's slowdown with names that people know."""

    engine: str
    beside: list[str]
    slowdown_ratio: float
    slowdown_lower_ratio: float | None
    slowdown_upper_ratio: float | None
    within_noise: bool | None
    concurrency_gain_ratio: float | None
    verdict: str
    experiment_id: str


@dataclass(frozen=True)
class Description:
    """What a dataset holds and says.

    Attributes:
        devices, engines, profiles: One line each, in plain words.
        row_counts: Table -> rows.
        experiment_counts: Kind -> experiments.
        verdict_counts, reason_counts: Word -> experiments.
        noise_floor_ratios: Device -> its noise floor; None where it is not known.
        slowdowns: Of pairs, the largest first.
        within_noise_count, slowdown_count: Of the slowdowns of pairs.
        missing: What is not there, and how to get it.
    """

    folder: str
    devices: list[str]
    engines: list[str]
    profiles: list[str]
    row_counts: dict[str, int]
    experiment_counts: dict[str, int]
    verdict_counts: dict[str, int]
    reason_counts: dict[str, int]
    noise_floor_ratios: dict[str, float | None]
    slowdowns: list[Slowdown]
    slowdown_count: int
    within_noise_count: int
    missing: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return asdict(self)

    def text(self) -> str:
        """Return what a person reads."""
        return "\n".join(_lines(self))


def describe_dataset(folder: Path) -> Description:
    """Describe a campaign folder's dataset, or a dataset on its own; UserError if there is none."""
    dataset = dataset_folder(folder)
    tables: dict[str, list[Row]] = {
        name: read_table(dataset, name).to_pylist()
        for name in ("devices", "engines", "solo_profiles", "throughputs", "experiments", "slowdowns")
    }
    labels = _labels(sorted(tables["engines"], key=lambda row: (row["model"], row["batch_size"], row["engine_id"])))
    order = list(labels)
    profiles = sorted(tables["solo_profiles"], key=lambda row: order.index(row["engine_id"]))
    experiments = {row["experiment_id"]: row for row in tables["experiments"]}
    slowdowns = [
        _slowdown(row, experiments[row["experiment_id"]], labels)
        for row in tables["slowdowns"]
        if row["kind"] == "pair" and row["slowdown_ratio"] is not None
    ]
    return Description(
        folder=str(dataset),
        devices=[_device(row, tables["experiments"]) for row in tables["devices"]],
        engines=[label for label in labels.values() if _is_model(label)],
        profiles=[_profile(row, labels) for row in profiles if _is_model(labels[row["engine_id"]])],
        row_counts={name: _row_count(dataset, name) for name in TABLES},
        experiment_counts=dict(sorted(Counter(row["kind"] for row in experiments.values()).items())),
        verdict_counts=dict(sorted(Counter(row["verdict"] for row in experiments.values()).items())),
        reason_counts=dict(
            Counter(reason for row in experiments.values() for reason in row["verdict_reasons"]).most_common()
        ),
        noise_floor_ratios={row["device_id"]: row["noise_floor_ratio"] for row in tables["devices"]},
        slowdowns=sorted(slowdowns, key=lambda found: -found.slowdown_ratio),
        slowdown_count=len(slowdowns),
        within_noise_count=sum(found.within_noise is True for found in slowdowns),
        missing=list(_missing(tables, labels, campaign_folder(folder))),
    )


def _labels(engines: Sequence[Row]) -> dict[str, str]:
    """Name engines as people do: model@batch, with the precision and then the id where that alone is not one engine."""
    named = {row["engine_id"]: (f"{row['model']}@{row['batch_size']}", f" {row['precision']}") for row in engines}
    short = Counter(label for label, _ in named.values())
    longer = Counter(named.values())
    return {
        engine_id: label
        + (precision if short[label] > 1 else "")
        + (f" {engine_id}" if longer[label, precision] > 1 else "")
        for engine_id, (label, precision) in named.items()
    }


def _row_count(dataset: Path, name: str) -> int:
    return sum(int(pq.read_metadata(path).num_rows) for path in table_files(dataset, name))


def _is_model(label: str) -> bool:
    return not label.startswith(PROBE_PREFIX)


def _device(row: Row, experiments: Sequence[Row]) -> str:
    own = [found for found in experiments if found["device_id"] == row["device_id"]]
    runners = sorted({found["runner"] for found in own})
    lanes = sorted({found["lanes"] for found in own})
    isolations = sorted({found["isolation_observed"] for found in own})
    part = "cores" if row["kind"] == "cpu" else "SMs"
    return (
        f"{row['name']} ({row['kind']}, {row['sm_count']} {part}) with {' and '.join(runners)}, "
        f"{' or '.join(map(str, lanes))} lanes, isolation {' and '.join(isolations)}"
    )


def _profile(row: Row, labels: dict[str, str]) -> str:
    if row["span_p50_ns"] is None:
        return f"{labels[row['engine_id']]}: no execution counts"
    text = f"{labels[row['engine_id']]}: p50 {row['span_p50_ns'] / 1e6:.2f} ms"
    if row["span_p50_lower_ns"] is not None:
        text += f" [{row['span_p50_lower_ns'] / 1e6:.2f}, {row['span_p50_upper_ns'] / 1e6:.2f}]"
    if row["span_p95_ns"] is not None:
        text += f", p95 {row['span_p95_ns'] / 1e6:.2f} ms"
    return f"{text}, {row['throughput_items_per_s']:.1f} items/s (n = {row['sample_count']})"


def _slowdown(row: Row, experiment: Row, labels: dict[str, str]) -> Slowdown:
    return Slowdown(
        engine=labels[row["engine_id"]],
        beside=[labels[engine_id] for engine_id in row["co_engine_ids"]],
        slowdown_ratio=row["slowdown_ratio"],
        slowdown_lower_ratio=row["slowdown_lower_ratio"],
        slowdown_upper_ratio=row["slowdown_upper_ratio"],
        within_noise=row["within_noise"],
        concurrency_gain_ratio=experiment["concurrency_gain_ratio"],
        verdict=experiment["verdict"],
        experiment_id=row["experiment_id"],
    )


def _missing(tables: dict[str, list[Row]], labels: dict[str, str], campaign: Path | None) -> Iterator[str]:
    profiled = {row["engine_id"] for row in tables["solo_profiles"]}
    lacking = sorted(label for engine_id, label in labels.items() if engine_id not in profiled and _is_model(label))
    if lacking:
        yield f"no solo profile of {', '.join(lacking)}: their executions have no slowdown_ratio (experiment `solo`)"
    short = sorted(filter(_is_model, {labels[row["engine_id"]] for row in tables["solo_profiles"] if row["marks"]}))
    if short:
        yield f"solo profiles with too few executions or blocks: {', '.join(short)} (more `repeats`)"
    for row in tables["devices"]:
        if row["noise_floor_ratio"] is None:
            yield f"no noise floor of {row['name']}: no null experiment has bounds (experiment `null`)"
        if row["peak_flop_per_s"] is None:
            yield f"no measured peaks of {row['name']}: throughputs have no percentages"
    exceeding = sum(dict(row["null_reasons"]).get("sm_pct") == "exceeds_peak" for row in tables["throughputs"])
    if exceeding:
        yield f"{exceeding} engines exceed the measured compute peak: their sm_pct is null"
    if campaign is not None:
        yield from undone(campaign, {row["cell_id"] for row in tables["experiments"]})


def _lines(found: Description) -> Iterator[str]:
    yield f"Dataset {found.folder}"
    yield "Measured on " + "; ".join(found.devices)
    yield f"Engines ({len(found.engines)}): " + ", ".join(found.engines)
    yield "Experiments: " + _counts(found.experiment_counts) + "; verdicts: " + _counts(found.verdict_counts)
    yield "Tables (rows): " + ", ".join(f"{name} {count:,}" for name, count in found.row_counts.items())
    for reason, count in list(found.reason_counts.items())[:REASONS_SHOWN]:
        yield f"  {count} x {reason}: {REASONS[reason].meaning}"
    if found.profiles:
        yield "Alone:"
        yield from (f"  {line}" for line in found.profiles)
    for device_id, floor in found.noise_floor_ratios.items():
        if floor is not None:
            of_device = f" of device {device_id}" if len(found.noise_floor_ratios) > 1 else ""
            yield f"Noise floor{of_device}: a slowdown up to {floor:.3f}x can be chance"
    if found.slowdown_count:
        yield (
            f"Side by side, {found.slowdown_count} slowdowns, of which {found.within_noise_count} cannot be told from "
            f"none; the largest:"
        )
        yield from (f"  {_sentence(slowdown)}" for slowdown in found.slowdowns[:SLOWDOWNS_SHOWN])
    if found.missing:
        yield "Missing:"
        yield from (f"  {line}" for line in found.missing)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "none"


def _sentence(found: Slowdown) -> str:
    text = f"{' and '.join(found.beside)} slows {found.engine} {found.slowdown_ratio:.2f}x"
    if found.slowdown_lower_ratio is not None:
        text += f" [{found.slowdown_lower_ratio:.2f}, {found.slowdown_upper_ratio:.2f}]"
    if found.concurrency_gain_ratio is not None:
        text += f", gain {found.concurrency_gain_ratio:.2f}"
    return text + (" (within noise)" if found.within_noise else "") + (", failed" if found.verdict == "failed" else "")
