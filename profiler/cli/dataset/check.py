"""cotenant dataset check: every invariant, schema, unit, range and reference."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from cotenant.profiler.cli.faults import EXIT_WORK_FAILED
from cotenant.profiler.cli.options import dataset_argument, json_option


@click.command("check")
@dataset_argument
@json_option
@click.pass_context
def command(ctx: click.Context, folder: Path, as_json: bool) -> None:
    """Check the dataset in DIR; exit code 1 if anything is wrong."""
    from cotenant.datasets.check import check_dataset

    report = check_dataset(folder)
    if as_json:
        click.echo(json.dumps({"ok": report.ok, **asdict(report)}, indent=1))
    else:
        for finding in report.findings:
            click.echo(f"{finding.table}: {finding.check}: {finding.message}")
        faults = len(report.findings)
        click.echo(f"{len(report.checked)} checks: " + ("all hold" if report.ok else f"{faults} faults found"))
    if not report.ok:
        ctx.exit(EXIT_WORK_FAILED)
