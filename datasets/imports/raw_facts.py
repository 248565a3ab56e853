"""What raw files say of an experiment, for one that another tool measured: what it does not tell is None."""

from collections.abc import Mapping, Sequence
from typing import Any

from cotenant.datasets.raw import SCHEMA_VERSION
from cotenant.models.digest import digest_id

Row = dict[str, Any]
KIND = "imported"
QUALITY = {
    "alpha": 0.05,
    "look_quads": [1],
    "gain_min_ratio": 1.05,
    "canary_drift_max_ratio": 0.1,
}  # what judging reads


def raw_facts(
    *,
    device: Row,
    runner: str,
    isolation: str | None,
    clock_error_ns: int | None,
    tenants: Sequence[tuple[str, Row]],
    shares: Sequence[float | None] | None,
    source: Row,
    versions: Mapping[str, str],
    repeat: int,
    blocks: Sequence[Row],
) -> Row:
    """Return an experiment's metadata.

    Args:
        tenants: Name and engine of each, by lane.
        shares: What part of the device each lane was granted; None if unknown, or if it was the whole device.
        source: Where it comes from, which becomes part of its spec and so of its ids.
    """
    engine_ids = [engine["engine_id"] for _, engine in tenants]
    spec = {
        "kind": KIND,
        "runner": runner,
        "lanes": len(tenants),
        "repeat": repeat,
        "engine_ids": engine_ids,
        "share_pct": None if shares is None else list(shares),
        "isolation": isolation,
        "source": source,
    }
    cell_id = digest_id(spec)
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment_id": digest_id([cell_id, None, engine_ids, device["device_id"]]),
        "cell_id": cell_id,
        "kind": KIND,
        "seed": None,
        "repeat": repeat,
        "condition": None,
        "spec": spec,
        "quality": QUALITY,
        "runner": runner,
        "device": device,
        "peaks": None,
        "engines": list({engine["engine_id"]: engine for _, engine in tenants}.values()),
        "lane_count": len(tenants),
        "lane_share_pct": None if shares is None else list(shares),
        "isolation_requested": None,
        "isolation_observed": isolation,
        "clock_error_ns": clock_error_ns,
        "weights_shared": None,
        "oversubscribed": None,
        "host_has_own_core": None,
        "tenants": [
            {"tenant": name, "lane": lane, "engine_ids": [engine["engine_id"]]}
            for lane, (name, engine) in enumerate(tenants)
        ],
        "blocks": list(blocks),
        "stops": [],
        "self_test": None,
        "siblings": {},
        "provenance": {"versions": dict(versions)},
    }
