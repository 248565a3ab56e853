"""Help, version, and what is said to wrong commands and options."""

import importlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_line import COMMAND, Cotenant

from cotenant.profiler.cli.lazy import LazyGroup
from cotenant.profiler.cli.main import COMMANDS, command


def all_commands(group: LazyGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.modules:
        found = importlib.import_module(group.module_of(name)).command
        yield (*path, name), found
        if isinstance(found, LazyGroup):
            yield from all_commands(found, (*path, name))


COMMAND_TREE = dict(all_commands(command))


def test_commands_stand_in_workflow_order(cotenant: Cotenant) -> None:
    told = cotenant("--help").out
    positions = [told.index(f"\n  {name} ") for name in COMMANDS]
    assert positions == sorted(positions)


@pytest.mark.parametrize("path", COMMAND_TREE, ids=" ".join)
def test_every_command_explains_itself_and_its_options(path: tuple[str, ...]) -> None:
    found = COMMAND_TREE[path]
    assert found.name == path[-1]
    assert found.help
    undocumented = [p.name for p in found.params if isinstance(p, click.Option) and not p.help]
    assert undocumented == []


def test_short_and_long_help_say_the_same(cotenant: Cotenant) -> None:
    assert cotenant("colocate", "-h") == cotenant("colocate", "--help")


def test_version(cotenant: Cotenant) -> None:
    done = cotenant("--version")
    assert (done.code, done.out) == (0, "cotenant, version 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bild"], ["'bild'", "build", "cotenant --help"]),
        (["models", "lst"], ["'lst'", "list", "cotenant models --help"]),
        (["build", "--modell", "x"], ["--modell", "--model"]),
        (["build"], ["--model", "cotenant build --help"]),
        (["campaign", "run", "quickstart"], ["--out"]),
        (["build", "--model", "x", "--precision", "fp8"], ["fp8", "fp16", "fp32"]),
        (["build", "--model", "x", "--lanes", "0"], ["--lanes", "0", "1"]),
        (["colocate", "--model", "a"], ["two models", "twice"]),
        (["colocate", "--model", "a", "--batch", "1,2,3"], ["batch sizes", "3"]),
    ],
)
def test_wrong_usage_gets_one_line_and_exit_code_2(cotenant: Cotenant, arguments: list[str], words: list[str]) -> None:
    done = cotenant(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.count("\n") == 1
    for word in words:
        assert word in done.told


@pytest.mark.parametrize("batch", ["0", "8x", "-1", "", "1,,2", "1.5", "²", "1-4"])
def test_a_batch_size_is_a_whole_number_from_1(cotenant: Cotenant, batch: str) -> None:
    done = cotenant("build", "--model", "resnet18", f"--batch={batch}")
    assert done.code == 2
    assert "--batch" in done.told
    assert "whole numbers from 1, as in 8 or 1,2,4" in done.told


def test_output_that_nobody_reads_is_no_error(cotenant: Cotenant) -> None:
    with cotenant.start("models", "list", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode in (0, 141)


def test_a_full_disk_behind_stdout_is_told(cotenant: Cotenant) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([COMMAND, "models", "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
