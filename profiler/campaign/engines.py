"""Build a campaign's engines, each once, and keep their files and metadata in its folder."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cotenant.models.errors import CotenantError, UserError, WorkError
from cotenant.profiler.campaign.build_pool import BuildPool
from cotenant.profiler.campaign.engine_files import place_files
from cotenant.profiler.campaign.journal import Journal
from cotenant.profiler.campaign.placement import Placement, place
from cotenant.profiler.campaign.plan import make_plan
from cotenant.profiler.campaign.progress import Progress
from cotenant.profiler.campaign.spec import CampaignSpec
from cotenant.profiler.campaign.stopping import sigterm_interrupts
from cotenant.profiler.experiments.kinds import EngineKey
from cotenant.runners.engine_cache import FULL_ERRNOS, META, EntryDamaged, read_meta
from cotenant.runners.protocol import Engine

Engines = Mapping[EngineKey, Engine]
Check = Callable[[Iterable[Engine]], None]  # raises for an engine that must not come into the folder

UNREAD = "its cache entry cannot be read"
OF_THE_ENTRY = ("engine", "meta_sha256")  # of the cache's meta.json: what engine_row says, and what is true there alone


@dataclass(frozen=True)
class BuiltEngine:
    """An engine that is there.

    Attributes:
        build_ns: How long its build took, by whomever and whenever; None if its cache entry does not say.
        cached: Whether it was in the cache before it was asked for.
        meta: What the cache's meta.json says of it; empty if that cannot be read.
    """

    engine: Engine
    build_ns: int | None
    cached: bool
    meta: dict[str, Any]


@dataclass
class Builds:
    """What came of the engines that were asked for.

    Attributes:
        built: By the first key that means the engine, in the order asked for.
        failed: What each failed build raised: a CotenantError or MemoryError.
        same: Keys that mean an engine of `built` or `failed` too, with the first key of it.
    """

    built: dict[EngineKey, BuiltEngine] = field(default_factory=dict)
    failed: dict[EngineKey, Exception] = field(default_factory=dict)
    same: dict[EngineKey, EngineKey] = field(default_factory=dict)

    def by_key(self) -> Engines:
        """Return the engines by every key that means them."""
        found = {key: built.engine for key, built in self.built.items()}
        return found | {key: found[first] for key, first in self.same.items() if first in found}

    def check(self) -> None:
        """Raise what to tell if builds failed: the error itself of the only engine, else one that counts them.

        Raises:
            UserError: Nothing could be built, for faults that are the user's to mend.
            WorkError: Some or all builds failed.
        """
        if not self.failed:
            return
        first, error = next(iter(self.failed.items()))
        if len(self.failed) + len(self.built) == 1:
            raise error
        others = " (the others are built)" if self.built else ""
        count = f"{len(self.failed)} of {len(self.failed) + len(self.built)} engines failed{others}"
        beginning = f"{count}, the first {first.label}" if len(self.failed) > 1 else f"{count}: {first.label}"
        bad_input = not self.built and all(isinstance(each, UserError) for each in self.failed.values())
        raise (UserError if bad_input else WorkError)(f"{beginning}: {_told(error)}") from error


def build_engines(
    keys: Sequence[EngineKey],
    placement: Placement,
    cache: Path,
    journal: Journal,
    progress: Progress,
    check: Check | None = None,
) -> Engines:
    """Build or fetch every engine of a campaign and return them by key.

    A build that fails lets the others go on, so that the next run finds them; bad input ends it all at once, and so
    does what `check` raises, before the engine takes the place of the one that is kept under its id.
    """
    builds = build_each(keys, placement, cache, journal, progress, check=check, stop_at_bad_input=True)
    builds.check()
    return builds.by_key()


def build_folder(spec: CampaignSpec, out: Path, cache: Path, progress: Progress, jobs: int | None = None) -> Builds:
    """Build the engines of a spec into a campaign folder that measures nothing.

    Args:
        jobs: How many builds may run at once; None = as many as the runner recommends.

    Raises:
        UserError: The spec or the folder is at fault. What single builds raise is in the result.
        WorkError: The cache's disk is full.
        KeyboardInterrupt: Stopped by Ctrl-C or SIGTERM; engines that are built are kept.
    """
    plan = make_plan(spec)
    placement = place(spec)
    for key in plan.engines:
        placement.engine_id(key)  # what cannot be is told before a folder is made
    journal = Journal(out)
    with journal.opened(spec), sigterm_interrupts():
        journal.write_plan(plan, spec)
        return build_each(plan.engines, placement, cache, journal, progress, jobs=jobs)


def build_each(
    keys: Sequence[EngineKey],
    placement: Placement,
    cache: Path,
    journal: Journal,
    progress: Progress,
    *,
    jobs: int | None = None,
    check: Check | None = None,
    stop_at_bad_input: bool = False,
) -> Builds:
    """Build or fetch engines, each once, and keep what is built in the campaign folder as it comes."""
    builds = Builds(same=_same(keys, placement))
    for key, first in builds.same.items():
        progress.note(f"{key.label} is the same engine as {first.label}: built once")
    wanted = [key for key in keys if key not in builds.same]
    at_once = jobs or int(getattr(placement.runner, "parallel_builds", 1))
    progress.stage("engines", len(wanted))
    pool = BuildPool(wanted, lambda key: _build(key, placement, cache), at_once)
    ended: dict[EngineKey, BuiltEngine] = {}
    with closing(pool.results(progress)) as results:
        for key, result in results:
            if isinstance(result, Exception):
                if (stop_at_bad_input and isinstance(result, UserError)) or _disk_is_full(result):
                    raise result
                builds.failed[key] = result
                progress.advance(key.label, "failed")
                continue
            if check is not None:
                check([result.engine])
            _keep(journal, result)
            ended[key] = result
            progress.advance(key.label)
    builds.built = {key: ended[key] for key in wanted if key in ended}
    builds.failed = {key: builds.failed[key] for key in wanted if key in builds.failed}
    if len(builds.failed) > 1:
        for key, error in builds.failed.items():
            progress.note(f"{key.label} failed: {_told(error)}")
    return builds


def engine_row(engine: Engine) -> dict[str, Any]:
    """Return an engine as raw metadata and meta.json keep it: everything but where it lies on this machine."""
    row = asdict(engine)
    del row["folder"]
    return row


def _same(keys: Sequence[EngineKey], placement: Placement) -> dict[EngineKey, EngineKey]:
    """Return the keys whose engine an earlier key means already, with that key."""
    first: dict[str, EngineKey] = {}
    for key in keys:
        first.setdefault(placement.engine_id(key), key)
    return {key: first[placement.engine_id(key)] for key in keys if first[placement.engine_id(key)] != key}


def _build(key: EngineKey, placement: Placement, cache: Path) -> BuiltEngine:
    before = _written(cache / "engines" / placement.engine_id(key))
    engine = placement.runner.build(key.model, key.batch_size, key.precision, placement.target, cache, key.build_index)
    cached = before is not None and before == _written(engine.folder)
    try:
        meta = read_meta(engine.folder)
    except EntryDamaged:  # of a runner with a cache of its own, or replaced by another process since
        meta = {}
    return BuiltEngine(engine, meta.get("build_ns"), cached, meta)


def _written(entry: Path) -> tuple[int, int] | None:
    """Return what tells one writing of a cache entry from the next; None if there is no entry."""
    try:
        state = (entry / META).stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns


def _keep(journal: Journal, built: BuiltEngine) -> None:
    """Put an engine into its campaign folder: files, then meta.json, which lists them and those left out."""
    engine = built.engine
    folder = journal.engine_folder(engine.engine_id)
    facts = {key: value for key, value in built.meta.items() if key not in OF_THE_ENTRY}
    left_out = place_files(engine.folder, folder, built.meta["files"]) if built.meta else {"*": UNREAD}
    journal.write_engine({**facts, **engine_row(engine), "left_out": left_out})


def _disk_is_full(error: Exception) -> bool:
    """Whether every further build would end as this one did, perhaps minutes later."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL_ERRNOS


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, CotenantError) else "out of memory; choose a smaller model or batch size"
