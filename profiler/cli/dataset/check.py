"""cotenant dataset check: every invariant, schema, unit, range and reference."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from cotenant.profiler.cli.faults import EXIT_WORK_FAILED
from cotenant.profiler.cli.options import dataset_argument, json_option


@click.command("check")
@dataset_argument
@click.option("--digest", "with_digest", is_flag=True, help="Tell a digest of schema and values too.")
@json_option
@click.pass_context
def command(ctx: click.Context, folder: Path, with_digest: bool, as_json: bool) -> None:
    """Check the dataset in DIR; exit code 1 if anything is wrong.

    Two datasets have the same digest if every table but provenance, which holds wall-clock facts, has the same columns
    and values; how the files were written does not count.
    """
    from cotenant.datasets.check import check_dataset
    from cotenant.datasets.content_digest import dataset_digest

    report = check_dataset(folder)
    digest = {"digest": dataset_digest(folder)} if with_digest and report.ok else {}
    if as_json:
        click.echo(json.dumps({"ok": report.ok, **asdict(report), **digest}, indent=1))
    else:
        for finding in report.findings:
            click.echo(f"{finding.table}: {finding.check}: {finding.message}")
        faults = len(report.findings)
        click.echo(f"{len(report.checked)} checks: " + ("all hold" if report.ok else f"{faults} faults found"))
        if digest:
            click.echo(f"digest {digest['digest']}")
    if not report.ok:
        ctx.exit(EXIT_WORK_FAILED)
