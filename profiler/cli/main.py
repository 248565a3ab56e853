"""The command `cotenant`: its commands in workflow order, and the one place where errors become a line and a code."""

import os
import sys

import click

from cotenant.profiler.cli.faults import EXIT_BAD_INPUT, EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, fault_line, go_on_line
from cotenant.profiler.cli.lazy import LazyGroup

COMMANDS = ("doctor", "models", "build", "profile", "colocate", "serve", "campaign", "dataset")

command = LazyGroup(
    "cotenant",
    "cotenant.profiler.cli",
    COMMANDS,
    help="""Measure what co-tenants do to each other's latency, and keep it as a dataset.

    Exit codes: 0 done; 1 the work failed or a check found faults; 2 bad input; 130 stopped, run it again to go on.
    """,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
click.version_option(package_name="cotenant", prog_name="cotenant")(command)


def main() -> int:
    """Run the command line and return its exit code; a bug keeps its traceback."""
    arguments = sys.argv[1:]
    try:
        code = command.main(arguments, prog_name="cotenant", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SystemExit as leaving:
        if leaving.code != 1:
            raise
        return EXIT_BROKEN_PIPE  # the one thing that click exits for by itself here: the reader has gone
    except BrokenPipeError:
        _drop_what_is_left_to_print()
        return EXIT_BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        print(go_on_line(arguments), file=sys.stderr)
        return EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message(), err=True)
        return EXIT_BAD_INPUT
    except Exception as error:
        told = fault_line(error)
        if told is None:
            raise
        print(f"Error: {told.line}", file=sys.stderr)
        if isinstance(error, OSError):
            _drop_what_is_left_to_print()
        return told.exit_code


def _drop_what_is_left_to_print() -> None:
    """Where stdout takes no more, the interpreter's own flush at exit would fail again and change our exit code."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
