"""What the pages say exists: commands, links, files, make targets; and every command stands in the README."""

import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cotenant.datasets.schema import columns_page
from cotenant.profiler.cli.lazy import LazyGroup
from cotenant.profiler.cli.main import command

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("scripts/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SHOWN_COMMAND = re.compile(r"^\s*(?:\$ )?cotenant ((?:[a-z]+ ?)+)", re.MULTILINE)
SHOWN_TARGET = re.compile(r"(?:^\s*(?:\$ )?|`)make ([a-z-]+)", re.MULTILINE)


def command_paths(group: LazyGroup, path: str = "") -> Iterator[str]:
    for name in group.modules:
        found = importlib.import_module(group.module_of(name)).command
        if isinstance(found, LazyGroup):
            yield from command_paths(found, f"{path}{name} ")
        else:
            yield f"{path}{name}"


COMMAND_PATHS = sorted(command_paths(command))
GROUPS = {path.split()[0] for path in COMMAND_PATHS if " " in path}


@pytest.mark.parametrize("path", COMMAND_PATHS)
def test_every_command_stands_in_the_readme(path: str) -> None:
    group, _, name = path.partition(" ")
    readme = (ROOT / "README.md").read_text()
    listed = (
        re.search(rf"cotenant {group} [a-z|]*\b{name}\b", readme) if name else re.search(rf"cotenant {group}\b", readme)
    )
    assert listed, f"README.md does not show `cotenant {path}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = [link.split("#")[0] for link in LINK.findall(FENCE.sub("", page.read_text())) if "://" not in link]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_shown_commands_exist(page: Path) -> None:
    for shown in SHOWN_COMMAND.findall(page.read_text()):
        words = shown.split()
        wanted = " ".join(words[: 2 if words[0] in GROUPS else 1])
        assert wanted in COMMAND_PATHS or wanted in GROUPS, f"{page.name} shows `cotenant {shown.strip()}`"


def test_shown_make_targets_exist() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  make ([\w-]+)", told, re.MULTILINE))
    assert {"quickstart", "test"} <= targets
    for page in PAGES:
        unknown = set(SHOWN_TARGET.findall(page.read_text())) - targets
        assert not unknown, f"{page.name} names {unknown}"


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_page_of_tables_is_that_of_the_columns() -> None:
    assert (ROOT / "docs" / "tables.md").read_text() == columns_page(), (
        "python -m cotenant.datasets.schema > docs/tables.md"
    )
