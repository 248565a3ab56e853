"""cotenant serve: tenants under an open-loop load."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cotenant.profiler.cli.lane_count import with_lanes
from cotenant.profiler.cli.options import busy_option, cache_option, json_option, out_option, where_options
from cotenant.profiler.cli.serve_options import service_options

if TYPE_CHECKING:
    from cotenant.profiler.campaign.shortcuts import Service, Where


@click.command("serve")
@service_options
@where_options
@cache_option
@out_option
@busy_option
@json_option
def command(
    where: "Where", service: "Service", cache: Path | None, out: Path | None, allow_busy: bool, as_json: bool
) -> None:
    """Serve models under an open-loop load with dynamic batching.

    Each --model is a tenant with its own queue and Poisson arrivals; one given twice is two tenants. Latency counts
    from the intended arrival. Ends with what each tenant got, and one sentence for each load.

    \b
    Example:
      cotenant serve --model resnet50 --model roberta_base --load 0.3,0.7 --runner simulated --device l4
      cotenant serve --model resnet18:image=96 --model resnet18:image=96 --rate 40 --deadline-ms 50
    """
    from cotenant.models.errors import WorkError
    from cotenant.profiler.campaign.shortcuts import serve_spec
    from cotenant.profiler.cli.serve_results import serve_results
    from cotenant.profiler.cli.serve_text import serve_text
    from cotenant.profiler.cli.work import run_spec, shortfall

    most = max(service.concurrencies, default=1)
    outcome = run_spec(serve_spec(with_lanes(where, most, f"--concurrency {most}"), service), out, cache, allow_busy)
    results = serve_results(outcome.folder)
    if as_json:
        click.echo(json.dumps({"folder": str(outcome.folder), **results}, indent=1))
    else:
        click.echo("\n".join([f"dataset: {outcome.dataset}", *serve_text(results)]))
    if failed := shortfall(outcome):
        raise WorkError(failed)
