"""What slowdowns, blocks and experiments say of an experiment follows from its rows: it is derived again."""

from collections.abc import Iterator

from cotenant.datasets.check_kinds import ExperimentCheck
from cotenant.datasets.derive.blocks import block_rows
from cotenant.datasets.derive.devices import NoiseFloor
from cotenant.datasets.derive.executions import null_reasons
from cotenant.datasets.derive.experiments import Written, experiment_row
from cotenant.datasets.derive.lone import lone_slowdown
from cotenant.datasets.derive.requests import NULL_REASONS as OF_REQUESTS
from cotenant.datasets.derive.slowdowns import slowdown_rows
from cotenant.datasets.derive.telemetry import null_reasons as of_telemetry
from cotenant.datasets.differences import differences
from cotenant.datasets.experiment_rows import ExperimentRows

DISPATCH_LOGGED = "in_flight_execution_ids"


def run(rows: ExperimentRows) -> Iterator[tuple[str, str]]:
    """Derive the experiment's rows of the small tables again."""
    slowdowns = slowdown_rows([rows.summary], _floors(rows))
    measured = [
        row for row in rows.slowdowns if row["source"] == "measured"
    ]  # of others there is nothing to derive from
    yield from differences("slowdowns", measured, slowdowns, ("tenant",), "its quads say")
    yield from differences("blocks", rows.blocks, block_rows([rows.summary]), ("block_index",), "its executions say")
    again = experiment_row(rows.summary, _written(rows), slowdowns)
    yield from differences("experiments", [rows.experiment], [again], (), "its executions say")


def _floors(rows: ExperimentRows) -> dict[str, NoiseFloor]:
    """Return the device's stored noise floor; another check says whether it is right."""
    device_id = rows.experiment["device_id"]
    (device,) = (row for row in rows.small.rows["devices"] if row["device_id"] == device_id)
    return {device_id: NoiseFloor(device["noise_floor_ratio"], device["null_experiment_count"])}


def _written(rows: ExperimentRows) -> Written:
    counts = {name: found.num_rows for name, found in rows.large.items()}
    lone = lone_slowdown(rows.measured, rows.ran_alone, rows.small.profiles)
    return Written(counts, lone, _null_reasons(rows), rows.judged.words, rows.judged.watched_ratio)


def _null_reasons(rows: ExperimentRows) -> dict[str, str]:
    executions = rows.executions
    logged = executions if executions[DISPATCH_LOGGED].null_count < executions.num_rows else None
    reasons = null_reasons(rows.measured, executions, rows.small.profiles, logged)
    device_kind = rows.measured.metadata["device"]["kind"]
    asked = {name: why for name, why in OF_REQUESTS.items() if rows.requests[name].null_count}
    tables = {"executions": reasons, "requests": asked, "telemetry": of_telemetry(rows.telemetry, device_kind)}
    return {f"{table}.{name}": why for table, found in tables.items() for name, why in found.items()}


CHECK = ExperimentCheck("estimates", run)
