"""trtexec --exportTimes: a JSON list with the stamps of each run in ms, on the clock of its first event."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cotenant.datasets.imports.numbers import NS, number
from cotenant.datasets.imports.stamps import Stamps
from cotenant.datasets.parquet import reading
from cotenant.models.errors import UserError

STAMPS = ("startComputeMs", "endComputeMs")
COPIES = {"h2d_ns": "h2dMs", "d2h_ns": "d2hMs"}  # 0 where trtexec made none


def trtexec_stamps(path: Path) -> Stamps:
    """Read a file; UserError names the run and the key of what is wrong."""
    if not path.is_file():
        raise UserError(f"{path} is no file; name what trtexec wrote with --exportTimes")
    with reading(path):
        content = path.read_bytes()
    try:
        runs = json.loads(content, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON: {error}; name what trtexec wrote with --exportTimes") from error
    if not isinstance(runs, list) or not runs or not all(isinstance(run, dict) for run in runs):
        raise UserError(f"{path} is no list of runs; name what trtexec wrote with --exportTimes")
    start_ns, end_ns = ([_ns(path, place, run, key) for place, run in enumerate(runs)] for key in STAMPS)
    for place, (first, last) in enumerate(zip(start_ns, end_ns, strict=True)):
        if last <= first:
            raise UserError(f"{path}, run {place}: endComputeMs is not after startComputeMs; export the times again")
        if place and first < end_ns[place - 1]:
            raise UserError(f"{path}, run {place}: it begins before run {place - 1} has ended; use --streams=1")
    copies = {
        name: [_ns(path, place, run, key) if key in run else 0 for place, run in enumerate(runs)]
        for name, key in COPIES.items()
    }
    known = {name: np.array(values, np.int64) for name, values in copies.items() if all(values)}
    return Stamps(np.array(start_ns, np.int64), np.array(end_ns, np.int64), known.get("h2d_ns"), known.get("d2h_ns"))


def _ns(path: Path, place: int, run: dict[str, Any], key: str) -> int:
    value = run.get(key)
    if not isinstance(value, str):
        raise UserError(f"{path}, run {place}: it has no number {key!r}; name what trtexec wrote with --exportTimes")
    found = round(number(value, f"{path}, run {place}, {key}") * NS["ms"])
    if found >= 2**62:
        raise UserError(f"{path}, run {place}, {key}: {value} ms is no time of a run; export the times again")
    return found
