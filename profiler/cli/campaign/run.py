"""cotenant campaign run: build, measure and derive what a campaign folder still lacks."""

import json
from pathlib import Path

import click

from cotenant.profiler.cli.options import ANY_FOLDER, busy_option, cache_option, json_option


@click.command("run")
@click.argument("spec")
@click.option("--out", type=ANY_FOLDER, required=True, help="The campaign folder; a rerun goes on where it stopped.")
@cache_option
@busy_option
@json_option
def command(spec: str, out: Path, cache: Path | None, allow_busy: bool, as_json: bool) -> None:
    """Run a campaign, or go on with it.

    SPEC is a YAML file, or the name of a ready campaign (quickstart).

    It may be stopped at any time (Ctrl-C, a lost instance): the same command goes on, and measures nothing twice.
    """
    from cotenant.models.errors import WorkError
    from cotenant.profiler.campaign.spec import load_spec
    from cotenant.profiler.cli.work import run_spec, shortfall

    outcome = run_spec(load_spec(spec), out, cache, allow_busy)
    if as_json:
        values = {key: str(value) if isinstance(value, Path) else value for key, value in vars(outcome).items()}
        click.echo(json.dumps(values, indent=1))
    else:
        click.echo(f"{outcome.done_count} of {outcome.planned_count} experiments done")
        if outcome.dataset is not None:
            click.echo(f"dataset: {outcome.dataset}")
    if failed := shortfall(outcome):
        raise WorkError(failed)
