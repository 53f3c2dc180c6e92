"""Groups of commands that cost nothing until one is used, and that know their commands' other names."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that lives in ``module`` as ``app``; ``summary`` is what the list of commands says about it."""

    module: str
    summary: str


class AliasGroup(TyperGroup):
    """A group whose commands answer to other names too, as kubectl's kinds do (``hr`` for ``helmreleases``)."""

    aliases: ClassVar[Mapping[str, str]] = {}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, [self.aliases.get(args[0], args[0]), *args[1:]])


class LazyGroup(TyperGroup):
    """A group that imports a command's module when that command is run or asked for its help, not before."""

    lazy: ClassVar[Mapping[str, Lazy]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, command in self.lazy.items():
            self.commands[name] = TyperCommand(name, callback=None, help=command.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name in self.lazy:
            command = get_command(import_module(self.lazy[name].module).app)
            command.name = name
            _unwrap(command)
            self.commands[name] = command
        return super().resolve_command(ctx, args)


def _unwrap(command: Any) -> None:
    """Join the lines of each paragraph of the help, here and below: Typer keeps the line ends of the source, which fit
    no other terminal. Indented paragraphs are left as they are.
    """
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    joined = [text if text.startswith(" ") else " ".join(text.split("\n")) for text in paragraphs]
    command.help = "\n\n".join(joined)
    for below in getattr(command, "commands", {}).values():
        _unwrap(below)
