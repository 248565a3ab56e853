"""A command group that imports a command's file only when the command is asked for."""

from importlib import import_module
from keyword import iskeyword
from typing import Any

import click


class LazyGroup(click.Group):
    """Commands are modules of one package, each defining `command`, listed in the order people use them."""

    def __init__(self, name: str, package: str, modules: tuple[str, ...], **attributes: Any) -> None:
        super().__init__(name, no_args_is_help=True, **attributes)
        self.package = package
        self.modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in workflow order."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None if there is none of that name."""
        if cmd_name not in self.modules:
            return None
        command: click.Command = import_module(self.module_of(cmd_name)).command
        return command

    def module_of(self, cmd_name: str) -> str:
        """Return the full name of a command's module; one named as a keyword of Python ends in an underscore."""
        return f"{self.package}.{cmd_name}{'_' if iskeyword(cmd_name) else ''}"

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a wrong name is answered with all right ones."""
        if args and args[0] not in self.modules and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}; commands are: {', '.join(self.modules)}", ctx)
        return super().resolve_command(ctx, args)
