"""cotenant campaign status: how far a campaign is."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from cotenant.profiler.cli.columns import as_columns
from cotenant.profiler.cli.options import dataset_argument, json_option
from cotenant.profiler.cli.watching import duration


@click.command("status")
@dataset_argument
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Tell how far the campaign in DIR is, also while it runs."""
    from cotenant.profiler.campaign.status import campaign_status

    status = campaign_status(folder)
    if as_json:
        click.echo(json.dumps(asdict(status), indent=1))
        return
    rows = [(kind, str(done), str(planned)) for kind, (done, planned) in status.by_kind.items()]
    click.echo(as_columns(("kind", "done", "planned"), rows))
    for failure in status.failures:
        click.echo(
            f"failed {failure['count']}x: {failure['kind']} {' + '.join(failure['tenants'])}: {failure['message']}"
        )
    state = "running" if status.running else "not running"
    left = f", about {duration(status.remaining_s)} left" if status.done_count < status.planned_count else ""
    click.echo(f"{status.name}: {status.done_count} of {status.planned_count} experiments done{left}; {state}")
