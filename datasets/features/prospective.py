"""What was known at dispatch, from lists per co-runner and per tenant to one number each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.derive.measured import codes
from cotenant.models.errors import WorkError

COLUMNS = ("remaining_solo_ns", "queued_count", "queue_age_ns", "arrival_items_per_s")
FROM = {  # column -> the one of executions whose reason it has where nothing was logged
    "in_flight_count": "remaining_solo_ns",
    "remaining_solo_sum_ns": "remaining_solo_ns",
    "remaining_solo_max_ns": "remaining_solo_ns",
    "queued_own_count": "queued_count",
    "queued_other_count": "queued_count",
    "queue_age_own_ns": "queue_age_ns",
    "queue_age_other_ns": "queue_age_ns",
    "arrival_own_items_per_s": "arrival_items_per_s",
    "arrival_other_items_per_s": "arrival_items_per_s",
    "arrival_load_ratio": "arrival_items_per_s",
}
Found = dict[str, tuple[Any, NDArray[np.bool_]]]  # column -> values and where they are known


def prospective(rows: pa.Table, experiment: Mapping[str, Any], load_per_rate: NDArray[np.float64]) -> Found | None:
    """Return the columns FROM, of the rows at which something was logged and null elsewhere; None where at none.

    Raises:
        WorkError: Lists are not as long as there are tenants.
    """
    if any(rows[name].null_count == rows.num_rows for name in COLUMNS):
        return None
    logged = ~np.asarray(rows["queued_count"].is_null().to_numpy(), dtype=bool)
    own = rows.select([*COLUMNS, "tenant"])
    own = (own if logged.all() else own.filter(pa.array(logged))).combine_chunks()
    tenants = list(experiment["tenants"])
    found = _remaining(own["remaining_solo_ns"].combine_chunks())
    per_tenant = {name: _matrix(own[name].combine_chunks(), len(tenants), experiment) for name in COLUMNS[1:]}
    tenant = codes(own["tenant"], tenants)
    if np.any(tenant < 0):
        raise WorkError(f"experiment {experiment['experiment_id']} has executions of no tenant; see `dataset check`")
    found |= _queues(per_tenant["queued_count"], per_tenant["queue_age_ns"], tenant)
    found |= _arrivals(per_tenant["arrival_items_per_s"], tenant, load_per_rate)
    return {name: _spread(values, logged) for name, values in found.items()}


def _remaining(lists: pa.ListArray) -> dict[str, NDArray[Any]]:
    counts = np.asarray(pc.list_value_length(lists).to_numpy(), dtype=np.int64)
    values = np.asarray(lists.flatten().to_numpy(), dtype=np.int64)
    row = np.repeat(np.arange(len(counts)), counts)
    total, most = np.zeros(len(counts), np.int64), np.zeros(len(counts), np.int64)
    np.add.at(total, row, values)
    np.maximum.at(most, row, values)
    return {
        "in_flight_count": counts.astype(np.float64),
        "remaining_solo_sum_ns": total.astype(np.float64),
        "remaining_solo_max_ns": most.astype(np.float64),
    }


def _matrix(lists: pa.ListArray, tenants: int, experiment: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return row x tenant, NaN for null."""
    lengths = np.asarray(pc.list_value_length(lists).to_numpy(), dtype=np.int64)
    if np.any(lengths != tenants):
        raise WorkError(f"experiment {experiment['experiment_id']} has lists of other tenants; see `dataset check`")
    values = lists.flatten().cast(pa.float64()).fill_null(np.nan)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64).reshape(len(lists), tenants)


def _queues(
    counts: NDArray[np.float64], ages: NDArray[np.float64], tenant: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    row = np.arange(len(tenant))
    other_ages = ages.copy()
    other_ages[row, tenant] = np.nan
    oldest = np.full(len(tenant), np.nan)
    for column in other_ages.T:  # tenants are few, executions many
        np.fmax(oldest, column, out=oldest)
    return {
        "queued_own_count": counts[row, tenant],
        "queued_other_count": _summed(counts) - counts[row, tenant],
        "queue_age_own_ns": ages[row, tenant],
        "queue_age_other_ns": oldest,
    }


def _arrivals(
    rates: NDArray[np.float64], tenant: NDArray[np.int64], load_per_rate: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    row = np.arange(len(tenant))
    others = rates.copy()
    others[row, tenant] = 0.0
    return {
        "arrival_own_items_per_s": rates[row, tenant],
        "arrival_other_items_per_s": _summed(others),
        "arrival_load_ratio": _summed(rates * load_per_rate),
    }


def _summed(per_tenant: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros(len(per_tenant))
    for column in per_tenant.T:
        total += column
    return total


def _spread(values: NDArray[np.float64], logged: NDArray[np.bool_]) -> tuple[Any, NDArray[np.bool_]]:
    everywhere = np.full(len(logged), np.nan)
    everywhere[logged] = values
    return everywhere, ~np.isnan(everywhere)
