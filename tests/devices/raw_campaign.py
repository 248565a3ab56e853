"""Campaign folders with raw files as a campaign would write them, of a device that slows pairs by a known ratio."""

import json
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cotenant.datasets import raw
from cotenant.models.digest import digest_id

MS = 1_000_000
Row = tuple[str, int, str, str, int, int, int]  # tenant, lane, engine_id, role, block_index, start_ns, end_ns
QUALITY = {
    "look_quads": [8],
    "alpha": 0.05,
    "half_width_max_ratio": 0.03,
    "canary_drift_max_ratio": 0.10,
    "gain_min_ratio": 1.05,
    "self_test_max_ratio": 1.5,
    "coalesce_ns": 20_000,
}
DEVICE = {
    "device_id": "cpu-0",
    "device_type": "Test CPU, 4 cores",
    "kind": "cpu",
    "name": "Test CPU",
    "sm_count": 4,
    "l2_bytes": 8 << 20,
    "dram_bytes": 16 << 30,
    "datasheet_flop_per_s": None,
    "datasheet_dram_bytes_per_s": None,
}
SELF_TEST = {"passed": True, "makespan_ratio": 1.02, "solo_ns": 100 * MS, "together_ns": 102 * MS}
PEAKS = {"flop_per_s": 5e10, "cache_bytes_per_s": 4e10, "dram_bytes_per_s": 1e10}
SPANS_NS = {"resnet18@1": 8 * MS, "vit_ti_16@1": 5 * MS, "vgg11@2": 11 * MS}

BATCH_SIZES = {digest_id(label): int(label.partition("@")[2]) for label in SPANS_NS}


def engine(label: str) -> dict[str, Any]:
    model, _, batch = label.partition("@")
    work = SPANS_NS.get(label, 6 * MS)
    return {
        "engine_id": digest_id(label),
        "model": model,
        "family": model.rstrip("0123456789"),
        "batch_size": int(batch),
        "input_shapes": {"input": [int(batch), 3, 96, 96]},
        "precision": "fp32",
        "runner": "virtual",
        "engine_kind": "virtual",
        "build_target": "virtual",
        "build_index": 0,
        "source_sha256": "ab" * 32,
        "engine_sha256": "cd" * 32,
        "engine_bytes": 40_000_000,
        "parameter_count": 10_000_000,
        "mac_count": work * 15,
        "flop_count": work * 30,
        "read_bytes": work * 3,
        "write_bytes": work,
        "weight_bytes": 40_000_000,
    }


def metadata(**changes: Any) -> dict[str, Any]:
    complete: dict[str, Any] = {
        "schema_version": "1.0",
        "experiment_id": "0123456789abcdef0123",
        "cell_id": "c0",
        "kind": "solo",
        "seed": 7,
        "repeat": 0,
        "condition": None,
        "spec": {"kind": "solo"},
        "runner": "virtual",
        "device": DEVICE,
        "peaks": PEAKS,
        "engines": [],
        "lane_count": 2,
        "isolation_requested": "processes",
        "isolation_observed": "processes",
        "clock_error_ns": 100,
        "weights_shared": None,
        "oversubscribed": False,
        "host_has_own_core": True,
        "tenants": [],
        "blocks": [],
        "stops": [],
        "self_test": SELF_TEST,
        "quality": QUALITY,
        "siblings": {},
        "provenance": {
            "started_at": "2026-11-24T10:00:00+00:00",
            "finished_at": "2026-11-24T10:00:05+00:00",
            "host": "bench",
            "pid": 12,
            "attempt": 1,
            "git_commit": None,
            "versions": {"cotenant": "0.1.0"},
        },
    }
    return {**complete, **changes}


def executions_table(rows: Sequence[Row], cpu_part: float | None = 0.9) -> pa.Table:
    """Executions in the order given; dispatched one millisecond before they or any later one started."""
    tenants, lanes, engines, roles, blocks, starts, ends = zip(*rows, strict=True)
    count = len(rows)
    none = [None] * count
    first_to_come = list(accumulate(reversed(starts), min))[::-1]
    columns = {
        "execution_id": list(range(count)),
        "engine_id": engines,
        "tenant": tenants,
        "lane": lanes,
        "role": roles,
        "block_index": blocks,
        "request_count": [BATCH_SIZES.get(name, 1) for name in engines],
        "dispatched_ns": [start - MS for start in first_to_come],
        "start_ns": starts,
        "end_ns": ends,
        "cpu_ns": none if cpu_part is None else [int((e - s) * cpu_part) for s, e in zip(starts, ends, strict=True)],
        "h2d_ns": none,
        "d2h_ns": none,
    }
    return pa.table({name: pa.array(columns[name], raw.RAW_EXECUTIONS.field(name).type) for name in columns}).cast(
        raw.RAW_EXECUTIONS
    )


class Maker:
    """Writes one experiment after the other on a device that slows tenants beside each other by `slowdown`."""

    def __init__(
        self, folder: Path, seed: int = 1, slowdown: float = 1.2, noise: float = 0.004, quads: int = 8, lanes: int = 2
    ) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(seed)
        self.slowdown = slowdown
        self.noise = noise
        self.quads = quads
        self.lanes = lanes
        self.cpu_part: float | None = 0.9  # of the span; None where the runner does not tell
        self.stretched = 1.0  # how much longer everything takes, as under a condition or with a share of the device
        (folder / "raw").mkdir(parents=True, exist_ok=True)
        (folder / "failed").mkdir(exist_ok=True)
        (folder / "campaign.yaml").write_text("name: planted\n")
        self.now_ns = 5_000_000_000
        self.count = 0

    def solo(self, label: str, repeats: int = 8, executions: int = 33, **changes: Any) -> list[str]:
        return [self._solo(label, repeat, executions, changes) for repeat in range(repeats)]

    def _solo(self, label: str, repeat: int, executions: int, changes: dict[str, Any]) -> str:
        rows: list[Row] = []
        blocks = [self._block(rows, [("a", 0, label)], executions * SPANS_NS.get(label, 6 * MS), "profile", None)]
        return self._write("solo", [label], rows, blocks, repeat=repeat, **changes)

    def pair(self, first: str, second: str, **changes: Any) -> str:
        return self.together("pair", [first, second], **changes)

    def together(self, kind: str, labels: Sequence[str], **changes: Any) -> str:
        rows: list[Row] = []
        blocks: list[dict[str, Any]] = []
        everyone = [("abcd"[lane], lane, label) for lane, label in enumerate(labels)]
        for quad in range(self.quads):
            for arm in ("solo", "co_run", "co_run", "solo"):
                if arm == "co_run":
                    blocks.append(self._block(rows, everyone, 100 * MS, arm, quad, len(blocks)))
                else:
                    blocks += [
                        self._block(rows, [one], 100 * MS, arm, quad, len(blocks) + i) for i, one in enumerate(everyone)
                    ]
        stops = [{"tenant": name, "stop_reason": "narrow"} for name, _, _ in everyone]
        return self._write(kind, list(labels), rows, blocks, **{"stops": stops, **changes})

    def null(self, label: str, idle: str, **changes: Any) -> str:
        rows: list[Row] = []
        blocks: list[dict[str, Any]] = []
        for quad in range(self.quads):
            for arm in ("solo", "null", "null", "solo"):
                blocks.append(self._block(rows, [("a", 0, label)], 100 * MS, arm, quad, len(blocks)))
        stops = [{"tenant": "a", "stop_reason": "narrow"}]
        return self._write("null", [label, idle], rows, blocks, **{"stops": stops, **changes})

    def self_test(self, **changes: Any) -> str:
        rows: list[Row] = []
        both = [("a", 0, "probe:half:100@1"), ("b", 1, "probe:half:100@1")]
        blocks = [self._block(rows, part, 0, "self_test", None, i) for i, part in enumerate((both[:1], both[1:], both))]
        return self._write("self_test", [label for _, _, label in both], rows, blocks, **changes)

    def failure(self, name: str = "feed") -> None:
        (self.folder / "failed" / f"{name}.json").write_text(
            json.dumps(
                {"class": "LaneLost", "message": "lane 0 is lost: killed", "count": 2, "kind": "pair", "tenants": []}
            )
        )

    def _block(
        self,
        rows: list[Row],
        tenants: Sequence[tuple[str, int, str]],
        length_ns: int,
        arm: str,
        quad: int | None,
        index: int = 0,
    ) -> dict[str, Any]:
        begin = self.now_ns + MS
        offset = int(self.rng.integers(0, MS * 4)) if len(tenants) > 1 else 0
        role = {"co_run": "main", "null": "null", "self_test": "canary"}.get(arm, "solo")
        own: list[list[Row]] = []
        for place, (tenant, lane, label) in enumerate(tenants):
            time = begin + offset * place
            lane_rows: list[Row] = []
            while not lane_rows or time < begin + length_ns:
                span = SPANS_NS.get(label, 6 * MS) * self.stretched * (self.slowdown if arm == "co_run" else 1.0)
                end = time + int(span * np.exp(self.noise * self.rng.normal()))
                lane_rows.append((tenant, lane, digest_id(label), role, index, time, end))
                time = end + int(self.rng.integers(0, 3)) * 1000
            own.append(lane_rows)
        window = (max(part[0][5] for part in own), min(part[-1][6] for part in own))
        window = (window[0], max(window))
        for row in sorted((row for part in own for row in part), key=lambda row: (row[5], row[1])):
            if arm == "co_run":
                role = "warmup" if row[6] <= window[0] else "tail" if row[5] >= window[1] else "main"
            rows.append((*row[:3], role, *row[4:]))
        self.now_ns = max(row[6] for part in own for row in part)
        return {
            "block_index": index, "quad_index": quad, "arm": arm, "tenants": [name for name, _, _ in tenants],
            "window_start_ns": window[0], "window_end_ns": window[1],
            "offsets_ns": [offset * place for place in range(len(tenants))] if len(tenants) > 1 else None,
        }  # fmt: skip

    def _write(
        self,
        kind: str,
        labels: list[str],
        rows: list[Row],
        blocks: list[dict[str, Any]],
        siblings: dict[str, pa.Table] | None = None,
        any_lane: bool = False,
        **changes: Any,
    ) -> str:
        spec = {"kind": kind, "tenants": labels, "cell": self.count, **changes.pop("spec", {})}
        cell_id = digest_id(spec)
        self.count += 1
        device_id = changes.get("device", DEVICE)["device_id"]
        experiment_id = digest_id([cell_id, changes.get("seed", 7), list(map(digest_id, labels)), device_id])
        own = {row[0]: row[1] for row in rows}
        lanes = [
            {
                "tenant": "abcd"[i],
                "lane": None if any_lane else own.get("abcd"[i], i),
                "engine_ids": [digest_id(label)],
            }
            for i, label in enumerate(labels)
        ]
        facts = {
            "experiment_id": experiment_id, "cell_id": cell_id, "kind": kind, "spec": spec,
            "engines": [engine(label) for label in dict.fromkeys(labels)], "tenants": lanes, "blocks": blocks,
            "lane_count": self.lanes, **changes,
        }  # fmt: skip
        table = executions_table(rows, self.cpu_part)
        raw.write_raw(self.folder / "raw", experiment_id, table, metadata(**facts), siblings)
        return experiment_id


def small_campaign(folder: Path, **maker: Any) -> Maker:
    """Two engines with solo profiles, all three pairs, two nulls and the self-test."""
    made = Maker(folder, **maker)
    labels = ["resnet18@1", "vit_ti_16@1"]
    made.self_test()
    for label in labels:
        made.solo(label)
    made.pair(labels[0], labels[0])
    made.pair(labels[0], labels[1])
    made.pair(labels[1], labels[1])
    made.null(labels[0], labels[1])
    made.null(labels[1], labels[0])
    return made
