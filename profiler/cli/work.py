"""Running a small campaign on behalf of a command: its folder, its cache, its progress."""

from pathlib import Path
from typing import TYPE_CHECKING

from cotenant.profiler.cli.faults import writing_below
from cotenant.profiler.cli.watching import watched

if TYPE_CHECKING:
    from cotenant.profiler.campaign.engines import Builds
    from cotenant.profiler.campaign.run import CampaignOutcome
    from cotenant.profiler.campaign.spec import CampaignSpec


def run_spec(spec: "CampaignSpec", out: Path | None, cache: Path | None, allow_busy: bool) -> "CampaignOutcome":
    """Run a spec in its folder (a new one here, named after the spec, if none is given)."""
    from cotenant.profiler.campaign.run import run_campaign
    from cotenant.runners.engine_cache import default_cache

    folder = out or default_folder(spec)
    kept = cache or default_cache()
    with writing_below(folder, kept), watched() as progress:
        return run_campaign(spec, folder, kept, progress, allow_busy)


def run_builds(spec: "CampaignSpec", folder: Path, cache: Path | None, jobs: int | None) -> "Builds":
    """Build a spec's engines into a folder and measure nothing."""
    from cotenant.profiler.campaign.engines import build_folder
    from cotenant.runners.engine_cache import default_cache

    kept = cache or default_cache()
    with writing_below(folder, kept), watched() as progress:
        return build_folder(spec, folder, kept, progress, jobs)


def default_folder(spec: "CampaignSpec") -> Path:
    """Return a folder name that is the same for the same spec, so that the same command goes on where it stopped."""
    from cotenant.models.digest import sha256_of

    return Path(f"{spec.name}-{sha256_of(spec.resolved())[:8]}")


def shortfall(outcome: "CampaignOutcome") -> str | None:
    """Return what to say if experiments or profilings failed, else None."""
    parts = []
    if outcome.failed_count:
        parts.append(f"{outcome.failed_count} of {outcome.planned_count} experiments failed")
    if outcome.counters_failed_count:
        parts.append(f"{outcome.counters_failed_count} profilings of counters failed")
    if not parts:
        return None
    failed = outcome.folder / "failed"
    return f"{' and '.join(parts)}; see {failed}, then run the same command again to try them once more"
