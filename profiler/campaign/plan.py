"""From a spec to the list of its experiments, in the order they run, with ids that do not depend on that order."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cotenant.models.digest import digest_id, sha256_of
from cotenant.models.errors import UserError
from cotenant.models.zoo import resolve
from cotenant.profiler.campaign.engine_names import canonical_name
from cotenant.profiler.campaign.spec import CampaignSpec
from cotenant.profiler.counters.peaks import PEAK_PROBES
from cotenant.profiler.experiments.kinds import Cell, EngineKey, experiment_kind
from cotenant.profiler.experiments.lanes import lanes_of, stored_lanes
from cotenant.profiler.experiments.solo import BLOCK_EXECUTIONS
from cotenant.runners.probe_names import is_probe
from cotenant.runners.protocol import Lane

PLAN_VERSION = "1.0"
GUESS_FLOP_PER_S = 3e10  # one CPU core, for estimates only, until a solo profile has been measured
GUESS_SPAN_S = 0.02  # a probe, or a model whose cost is unknown


@dataclass(frozen=True)
class PlannedCell:
    """A cell with its place in the plan.

    Attributes:
        cell_id: Digest of everything that decides what the cell measures, but seed and device.
        seed: Drawn from campaign seed and cell_id, so that order and resume do not matter.
    """

    cell: Cell
    cell_id: str
    seed: int
    estimated_s: float


@dataclass(frozen=True)
class Plan:
    """Engines to build and cells to run, in order."""

    engines: tuple[EngineKey, ...]
    cells: tuple[PlannedCell, ...]

    @property
    def estimated_s(self) -> float:
        """Seconds of all experiments, engine builds apart."""
        return sum(cell.estimated_s for cell in self.cells)

    def stored(self, spec: CampaignSpec) -> dict[str, Any]:
        """Return what plan.json keeps."""
        return {
            "plan_version": PLAN_VERSION,
            "campaign": spec.name,
            "estimated_s": round(self.estimated_s, 1),
            "engines": [asdict(key) for key in self.engines],
            "cells": [
                {
                    "cell_id": planned.cell_id,
                    "kind": planned.cell.kind,
                    "tenants": [key.label for key in planned.cell.tenants],
                    "repeat": planned.cell.repeat,
                    "condition": planned.cell.condition,
                    "options": planned.cell.options,
                    "seed": planned.seed,
                    "estimated_s": round(planned.estimated_s, 2),
                }
                for planned in self.cells
            ],
        }


def make_plan(spec: CampaignSpec) -> Plan:
    """Expand a spec into its plan; UserError for models, batch sizes or experiments that cannot be."""
    engines = tuple(engine_keys(spec))
    guesses = {key: guess_span_s(key) for key in engines}
    first = [planned(spec, cell, guesses) for cell in control_cells(spec, engines)]
    seen = {cell.cell_id for cell in first}
    rest = []
    for cell in experiment_cells(spec, engines):
        candidate = planned(spec, cell, guesses)
        if candidate.cell_id not in seen:
            seen.add(candidate.cell_id)
            rest.append(candidate)
    random.Random(spec.seed).shuffle(rest)  # solo repeats spread over the campaign; drift falls on all kinds alike
    order = {lanes: place for place, lanes in enumerate(lane_sets(spec))}
    rest.sort(key=lambda each: order[lanes_of_cell(spec, each.cell)])  # a change of lanes costs a session
    used = dict.fromkeys([*engines, *(key for cell in (*first, *rest) for key in cell.cell.tenants)])
    return Plan(tuple(used), (*first, *rest))


def engine_keys(spec: CampaignSpec) -> list[EngineKey]:
    """Return the engines of a spec, each once, in its order, with canonical names; a probe has one batch size, 1."""
    keys = [
        EngineKey(name, 1, "fp32", group.build_index)
        if is_probe(name)
        else EngineKey(name, batch_size, spec.precision, group.build_index)
        for group in spec.engines
        for name in map(canonical_name, group.models)
        for batch_size in group.batch_sizes
    ]
    if not keys:
        raise UserError("the spec's `engines` make no engine; name at least one model")
    return list(dict.fromkeys(keys))


def control_cells(spec: CampaignSpec, engines: Sequence[EngineKey]) -> list[Cell]:
    """Return what every campaign that measures runs first: the device's peaks and a self-test of each set of lanes."""
    if not spec.experiments:
        return []
    self_test = experiment_kind("self_test")
    lanes, *others = lane_sets(spec)
    # peaks are those of the whole device; lane 0 has it, unless the lanes have shares
    whole = None if lanes[0].share_pct is None else (Lane(),)
    options = {"executions": BLOCK_EXECUTIONS, "lane": 0}
    peaks = [Cell("solo", (EngineKey(probe, 1, "fp32"),), 0, None, options, whole) for probe in PEAK_PROBES.values()]
    tests = self_test.cells(self_test.spec(kind="self_test"), engines, lanes)
    more = [
        replace(cell, lanes=each)
        for each in others
        for cell in self_test.cells(self_test.spec(kind="self_test"), engines, each)
    ]
    return [*peaks, *tests, *more]


def experiment_cells(spec: CampaignSpec, engines: Sequence[EngineKey]) -> Iterator[Cell]:
    """Yield the cells of every entry of `experiments`, on lanes of their own where an entry has some."""
    for entry in spec.experiments:
        own = None if entry.lanes is None else lanes_of(entry.lanes)
        if own == lanes_of(spec.lanes):
            own = None
        for cell in experiment_kind(entry.kind).cells(entry, engines, own or lanes_of(spec.lanes)):
            yield replace(cell, lanes=own)


def lane_sets(spec: CampaignSpec) -> list[tuple[Lane, ...]]:
    """Return the campaign's lanes, then every other set of lanes that its experiments ask for."""
    asked = [lanes_of(entry.lanes) for entry in spec.experiments if entry.lanes is not None]
    return list(dict.fromkeys([lanes_of(spec.lanes), *asked]))


def lanes_of_cell(spec: CampaignSpec, cell: Cell) -> tuple[Lane, ...]:
    """Return the lanes on which a cell runs."""
    return lanes_of(spec.lanes) if cell.lanes is None else cell.lanes


def planned(spec: CampaignSpec, cell: Cell, guesses: dict[EngineKey, float]) -> PlannedCell:
    """Give a cell its id, seed and estimate."""
    cell_id = digest_id(cell_spec(spec, cell))
    spans = [guesses.get(key, GUESS_SPAN_S) for key in cell.tenants]
    estimate = experiment_kind(cell.kind).seconds(cell, spans, spec.quality)
    return PlannedCell(cell, cell_id, int(sha256_of([spec.seed, cell_id])[:15], 16), estimate)


def cell_spec(spec: CampaignSpec, cell: Cell) -> dict[str, Any]:
    """Return the resolved spec of one cell: what its id is the digest of, and what its raw file keeps."""
    return {
        "runner": spec.runner,
        **stored_lanes(lanes_of_cell(spec, cell)),
        "isolation": spec.isolation,
        "quality": spec.quality.stored(),
        "kind": cell.kind,
        "tenants": [asdict(key) for key in cell.tenants],
        "condition": cell.condition,
        "repeat": cell.repeat,
        "options": cell.options,
    }


def guess_span_s(key: EngineKey) -> float:
    """Guess an engine's solo span before anything was measured; checks model and batch size by the way."""
    if is_probe(key.model):
        return GUESS_SPAN_S
    cost = resolve(key.model).cost(key.batch_size, key.precision)
    return max(float(cost.flop_count) / GUESS_FLOP_PER_S, 1e-4)
