"""Run a campaign: build what is missing, measure what is missing, derive the dataset; stop anywhere and go on later."""

from dataclasses import dataclass
from pathlib import Path

from cotenant.datasets.build import build_dataset
from cotenant.models.errors import WorkError
from cotenant.profiler.campaign.crew import Crew
from cotenant.profiler.campaign.engines import build_engines
from cotenant.profiler.campaign.journal import Journal
from cotenant.profiler.campaign.placement import Placement, place
from cotenant.profiler.campaign.plan import Plan, PlannedCell, lane_sets, make_plan
from cotenant.profiler.campaign.progress import Progress
from cotenant.profiler.campaign.results import Results
from cotenant.profiler.campaign.spec import CampaignSpec
from cotenant.profiler.campaign.stopping import sigterm_interrupts
from cotenant.profiler.counters.preflight import of_placement
from cotenant.profiler.counters.stage import CountersStage
from cotenant.profiler.counters.store import Store, held
from cotenant.profiler.counters.tiers import Choice, choose
from cotenant.profiler.doctor.driver import reading as nvml_reading
from cotenant.runners.probe_names import is_probe

ATTEMPTS = 2  # a lane may die once for no fault of the experiment; twice is data
FAILURES_IN_A_ROW_MAX = 3  # more than that is no bad experiment but a bad machine


@dataclass(frozen=True)
class CampaignOutcome:
    """How a run ended.

    Attributes:
        dataset: The derived dataset's folder; None if the spec measures nothing.
        done_count: Experiments finished by this run and earlier ones.
        counters_failed_count: Engines and sets that could not be profiled; the campaign went on without them.
    """

    folder: Path
    dataset: Path | None
    planned_count: int
    done_count: int
    failed_count: int
    counters_failed_count: int = 0


def run_campaign(
    spec: CampaignSpec, out: Path, cache: Path, progress: Progress, allow_busy: bool = False
) -> CampaignOutcome:
    """Run what a campaign folder still lacks and derive its dataset.

    `allow_busy` = measure even where others keep the device busy; every experiment says so.

    Raises:
        UserError: The spec or the folder is at fault, or the device is busy.
        WorkError: Several experiments failed one after the other; the cause is in the message and in failed/.
        KeyboardInterrupt: Stopped by Ctrl-C or SIGTERM; everything finished is kept.
    """
    plan = make_plan(spec)
    placement = place(spec)
    if plan.cells:
        placement.check_measures()
    placement.check_distinct(plan.engines)
    choice = counters_choice(spec, placement) if plan.cells and not _has_counters(spec, plan, placement, out) else None
    journal = Journal(out)
    with journal.opened(spec), sigterm_interrupts():
        journal.write_plan(plan, spec)
        results = Results(journal, placement)
        results.check_plan(plan)
        engines = build_engines(plan.engines, placement, cache, journal, progress, results.check_engines)
        crew = Crew(spec, placement, engines, results, progress)
        counters = None if choice is None else _counters_stage(spec, placement, choice, journal, cache, progress)
        built = [engines[key] for key in plan.engines]
        with crew:
            lacks_counters = counters is not None and counters.lacks(built)
            todo = [each for each in plan.cells if lacks_counters or not results.is_done(each.cell_id)]
            crew.check_idle(todo, allow_busy)
            if counters is not None:
                counters.run(built)
            _measure(plan, crew, results, progress)
        if not plan.cells:
            return CampaignOutcome(out, None, 0, 0, 0)
        progress.stage("dataset", 1)
        dataset = build_dataset(out)
        progress.advance(str(dataset))
        done = sum(results.is_done(planned.cell_id) for planned in plan.cells)
        unprofiled = 0 if counters is None else counters.failed_count
        return CampaignOutcome(out, dataset, len(plan.cells), done, len(plan.cells) - done, unprofiled)


def counters_choice(spec: CampaignSpec, placement: Placement) -> Choice | None:
    """Return the source of a campaign's counters; None if its spec asks for none.

    Raises:
        UserError: No source that the spec lists is available here; told before anything long begins.
    """
    if spec.counters is None:
        return None
    reading = nvml_reading() if placement.device.kind == "gpu" else None
    lane_count = max(map(len, lane_sets(spec)))
    has_sensitivity = any(entry.kind == "sensitivity" for entry in spec.experiments)
    tiers = of_placement(placement.runner, placement.device, reading, lane_count, has_sensitivity)
    return choose(spec.counters.sources, tiers)


def _has_counters(spec: CampaignSpec, plan: Plan, placement: Placement, out: Path) -> bool:
    """Tell whether the folder has the counters of every network by one source that the spec lists.

    Then no source has to be available any more: a finished campaign is derived again on a machine without ncu.
    """
    if spec.counters is None:
        return True
    known = held(out)
    networks = [placement.engine_id(key) for key in plan.engines if not is_probe(key.model)]
    sets = {"ncu": spec.counters.sets, "gpm": ("gpm",)}
    return any(
        all((engine_id, source, name) in known for engine_id in networks for name in sets[source])
        for source in spec.counters.sources
        if source in sets
    )


def _counters_stage(
    spec: CampaignSpec, placement: Placement, choice: Choice, journal: Journal, cache: Path, progress: Progress
) -> CountersStage:
    assert spec.counters is not None
    return CountersStage(spec.counters, placement, choice, Store(journal.folder, cache), journal, progress)


def _measure(plan: Plan, crew: Crew, results: Results, progress: Progress) -> None:
    pending = [planned for planned in plan.cells if not results.is_done(planned.cell_id)]
    if len(pending) < len(plan.cells):
        progress.note(f"{len(plan.cells) - len(pending)} of {len(plan.cells)} experiments are already there")
    progress.stage("experiments", len(pending))
    in_a_row = 0
    for planned in pending:
        failure = _attempt(crew, planned)
        in_a_row = in_a_row + 1 if failure else 0
        if failure:
            progress.note(f"{planned.cell.label} failed: {failure}")
        if in_a_row >= FAILURES_IN_A_ROW_MAX:
            raise WorkError(
                f"{in_a_row} experiments in a row failed, the last: {failure}; see {results.journal.failed}"
            )
        progress.advance(planned.cell.label)


def _attempt(crew: Crew, planned: PlannedCell) -> str | None:
    failure = None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            crew.measure(planned, attempt)
            return None
        except WorkError as error:
            crew.fail(planned, error, attempt)
            failure = str(error)
    return failure
