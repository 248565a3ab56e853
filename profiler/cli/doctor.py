"""cotenant doctor: what this machine can measure, what is missing, how to get it."""

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cotenant.profiler.cli.options import cache_option, json_option

if TYPE_CHECKING:
    from cotenant.profiler.doctor.check import Check

COLOURS = {"ok": "green", "missing": "red", "limited": "yellow", "unknown": "yellow"}
STATE_CHARACTERS = max(map(len, COLOURS))
PLAIN_GROUP = "evidence"  # whole sentences about the project, not about this machine


@click.command("doctor")
@cache_option
@json_option
def command(cache: Path | None, as_json: bool) -> None:
    """Tell what this machine can measure, and what is missing.

    Each line is ok, missing, limited (there, but less than could be) or unknown; an arrow gives the next step. Nothing
    is installed, started or changed, and the exit code is 0 whatever is found.

    \b
    Example:
      cotenant doctor --json
    """
    from cotenant.profiler.doctor.examine import examine

    checks = examine(cache)
    if as_json:
        click.echo(json.dumps([check.stored() for check in checks], indent=1))
        return
    for group, members in groupby(checks, key=lambda check: check.group):
        click.echo("\n".join(_lines(group, list(members))))


def _lines(group: str, checks: "list[Check]") -> list[str]:
    if group == PLAIN_GROUP:
        return [check.value for check in checks]
    names = [check.id.removeprefix(f"{group}.") for check in checks]
    width = max(map(len, names))
    lines = [click.style(group, bold=True)]
    for name, check in zip(names, checks, strict=True):
        state = click.style(check.state.ljust(STATE_CHARACTERS), fg=COLOURS[check.state])
        lines.append(f"  {state}  {name.ljust(width)}  {check.value}")
        if check.remedy is not None:
            lines.append(f"  {' ' * (STATE_CHARACTERS + width + 2)}  -> {check.remedy}")
    return lines
