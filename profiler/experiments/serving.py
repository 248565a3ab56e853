"""Open-loop serving: Poisson arrivals, one queue per tenant, dynamic batching, a limit of batches in flight.

    |lead-in|turns|------------------ serving ------------------|drain|lead-in|turns|
                  [warm-up, cut by MSER-5)[ window               )

In the turns the deployed engines run one at a time: their spans turn loads into rates and are, before and after, what
tells drift. The solo profile that slowdowns refer to comes from cells of kind `sequential`, spread over the campaign.
"""

from collections.abc import Sequence

import numpy as np

from cotenant.profiler.experiments.bench import Bench, Tenant
from cotenant.profiler.experiments.blocks import block_lead_in, hang_ns
from cotenant.profiler.experiments.closed_loop import Run
from cotenant.profiler.experiments.kinds import Cell, EngineKey, ExperimentKind
from cotenant.profiler.experiments.sequential import PROFILE_BLOCKS, SequentialSpec, turns
from cotenant.profiler.experiments.turns import run_turns
from cotenant.profiler.quality.thresholds import Quality
from cotenant.profiler.serving.arrivals import draw_arrivals
from cotenant.profiler.serving.deployment import TenantRules, resolve_pieces
from cotenant.profiler.serving.fleet import loaded_everywhere
from cotenant.profiler.serving.interleaved import medians_ns
from cotenant.profiler.serving.loop import Service, serve
from cotenant.profiler.serving.options import expand
from cotenant.profiler.serving.orders import order_rule
from cotenant.profiler.serving.record import Conditions, ServingRecord
from cotenant.profiler.serving.spec import ServingSpec
from cotenant.profiler.serving.window import settled_window
from cotenant.runners.protocol import Engine, Lane, Loaded


def cells(spec: ServingSpec, engines: Sequence[EngineKey], lanes: Sequence[Lane]) -> list[Cell]:
    """One cell per load (or schedule), concurrency and repeat, beside cells that profile the engines in turns."""
    deployed, options = expand(spec, engines, len(lanes))
    profile = SequentialSpec(kind="sequential")
    return [
        *(turns(deployed, repeat, len(lanes), profile) for repeat in range(PROFILE_BLOCKS)),
        *(Cell("serving", deployed, repeat, spec.condition, own) for own in options for repeat in range(spec.repeats)),
    ]


def run(bench: Bench, cell: Cell, engines: Sequence[Engine], rng: np.random.Generator) -> ServingRecord:
    """Serve one deployment under one load, between turns of its engines."""
    options = cell.options
    tenants = [TenantRules.of(stored) for stored in options["deployment"]]
    concurrency = int(options["concurrency"])
    with loaded_everywhere(bench.session, engines, concurrency) as loaded:
        before, after = (_one_each(tenants, engines, loaded, (cell.repeat + i) % concurrency) for i in range(2))
        record = ServingRecord(before)
        spans_ns = medians_ns(_turns(bench, record, before, options["turns"], rng), before)
        pieces = resolve_pieces(tenants, options["schedule"], spans_ns, concurrency)
        arrivals = draw_arrivals(pieces, rng.spawn(len(tenants)))
        service = Service(tenants, loaded, spans_ns, concurrency, order_rule(options["order"]))
        log = serve(bench.session, service, arrivals, sum(piece.length_ns for piece in pieces), hang_ns(bench))
        conditions = Conditions(
            tenants, engines, spans_ns, pieces, concurrency, options["order"], int(options["lag_max_ns"])
        )
        record.add_serving(log, conditions, settled_window(log, pieces))
        _turns(bench, record, after, options["turns"], rng)
    return record


def _one_each(
    rules: Sequence[TenantRules], engines: Sequence[Engine], loaded: Sequence[Sequence[Loaded]], lane: int
) -> list[Tenant]:
    """Return every engine on one lane, under the name of the first tenant that deploys it."""
    owner = {place: each.name for each in reversed(rules) for place in each.engines}
    return [Tenant(owner[place], lane, engine, loaded[lane][place], 0) for place, engine in enumerate(engines)]


def _turns(
    bench: Bench, record: ServingRecord, tenants: Sequence[Tenant], rounds: int, rng: np.random.Generator
) -> Run:
    lead_in = block_lead_in(bench.quality, settled=bool(record.blocks))
    found = run_turns(bench.session, tenants, lead_in, rounds, hang_ns(bench), rng)
    record.add_block(found, arm="sequential", role="solo")
    return found


def seconds(cell: Cell, spans_s: Sequence[float], quality: Quality) -> float:
    """Expected seconds: the schedule at guessed spans, and the turns before and after it."""
    tenants = [TenantRules.of(stored) for stored in cell.options["deployment"]]
    spans_ns = [1e9 * span_s for span_s in spans_s]
    pieces = resolve_pieces(tenants, cell.options["schedule"], spans_ns, int(cell.options["concurrency"]))
    lead_ins = [block_lead_in(quality, settled) for settled in (False, True)]
    round_s = sum(spans_s)
    led_in_s = sum(max(each.least_ns / 1e9, each.executions / len(spans_s) * round_s, round_s) for each in lead_ins)
    return led_in_s + 2 * int(cell.options["turns"]) * round_s + sum(piece.length_ns for piece in pieces) / 1e9


EXPERIMENT = ExperimentKind("serving", ServingSpec, cells, run, seconds)
