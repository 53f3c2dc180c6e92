"""Commands of the form ``gitsync VERB KIND NAME``: one function for a verb, a command for each kind in the table.

What all of them share is here: the words of a kind and its aliases, the options for names and namespace, the
way to the cluster, finding the objects. So the file of a verb holds only what is special about it::

    verb = Verb("suspend", "Suspend releases or sources.", "Suspend chart repositories.")
    app = verb.app

    @verb.each(*KINDS)
    async def suspend(objects: Sequence[LiveObject]) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from gitsync.cli.common.kinds import SHOWN, Kind
from gitsync.cli.common.lazy import AliasGroup
from gitsync.cli.common.liveobject import connected, find, find_all
from gitsync.cli.common.options import CONTEXT, with_groups, with_settings
from gitsync.settings import Settings

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which ones.", show_default=False)]
Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace to look in.")]
All = Annotated[bool, typer.Option("--all", help="All of the namespace.")]

#: The flags that name a cluster, for commands whose ``--namespace`` is that of objects, and not the agent's.
cluster_settings = with_settings("Cluster", leave_out=("namespace",))

Run = TypeVar("Run", bound=Callable[..., Any])


class Verb:
    """The commands of one verb. ``about`` is the help of all of them, ``about_sources`` that of its sources, "" for a
    verb that has none. A ``plural`` verb shows many objects: its words are plurals, and ``VERB PLURAL`` stands beside
    ``VERB sources WORD``.
    """

    def __init__(self, name: str, about: str, about_sources: str = "", *, plural: bool = False) -> None:
        self.name = name
        self._plural = plural
        group = "sources" if plural else "source"
        self.app = _group(about, {"source" if plural else "sources": group, **self._aliases()})
        if about_sources:
            sources = [kind for kind in SHOWN if kind.is_source]
            others = {other: kind.word for kind in sources for other in (kind.kind.lower(), kind.plural, *kind.aliases)}
            self.sources = _group(about_sources, others)
            self.app.add_typer(self.sources, name=group)

    def _aliases(self) -> dict[str, str]:
        if self._plural:
            return {other: kind.plural for kind in SHOWN for other in (kind.kind.lower(), *kind.aliases)}
        named = [kind for kind in SHOWN if not kind.is_source]
        return {other: kind.word for kind in named for other in (kind.plural, *kind.aliases)}

    def of(self, *kinds: Kind) -> Callable[[Run], Run]:
        """Make ``run(settings, kind, ...)`` the command for each of ``kinds``. Its other parameters become options,
        each flag of a group by itself (see ``with_groups``). The help is what the kind has for this verb, else the
        docstring of ``run``. What ``run`` returns is described at ``with_settings``.
        """

        def decorate(run: Run) -> Run:
            for kind in kinds:
                text = kind.help.get(self.name) or run.__doc__ or ""
                command = cluster_settings(bound(with_groups(run), text, kind=kind))
                if self._plural:
                    self.app.command(kind.plural)(command)
                if kind.is_source or not self._plural:
                    (self.sources if kind.is_source else self.app).command(kind.word)(command)
            return run

        return decorate

    def one(self, *kinds: Kind) -> Callable[[Run], Run]:
        """Make ``run(live, ...)`` the command for one object of each of ``kinds``, which was found by name."""

        def decorate(run: Run) -> Run:
            async def command(
                settings: Settings, kind: Kind, name: Name, namespace: Namespace = "default", **own: Any
            ) -> int | None:
                async with connected(settings) as cluster:
                    code: int | None = await run(await find(cluster, kind.key(namespace, name)), **own)
                    return code

            self.of(*kinds)(_with_options(command, run))
            return run

        return decorate

    def each(self, *kinds: Kind) -> Callable[[Run], Run]:
        """Make ``run(objects, ...)`` the command for several objects of each of ``kinds``: the named ones, or with
        ``--all`` those of a namespace. It is not called when one of the named objects does not exist."""

        def decorate(run: Run) -> Run:
            async def command(
                settings: Settings,
                kind: Kind,
                names: Names = None,
                namespace: Namespace = "default",
                everything: All = False,
                **own: Any,
            ) -> int | None:
                if bool(names) is everything:
                    raise typer.BadParameter("either names or --all", param_hint="NAME")
                async with connected(settings) as cluster:
                    found = await find_all(cluster, kind, namespace, dict.fromkeys(names or ()))
                    code: int | None = await run(found, **own)
                    return code

            self.of(*kinds)(_with_options(command, run))
            return run

        return decorate


def _group(about: str, aliases: Mapping[str, str]) -> typer.Typer:
    words = type("_Words", (AliasGroup,), {"aliases": aliases})
    group = typer.Typer(
        cls=words, no_args_is_help=True, add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT
    )
    group.callback(help=about)(lambda: None)  # without one, a group of one command would be that command
    return group


def bound(run: Callable[..., Any], text: str, **given: Any) -> Callable[..., Any]:
    """``run`` as a command with ``text`` as its help; the parameters that are ``given`` here do not become options."""

    @functools.wraps(run)
    def command(**arguments: Any) -> Any:
        return run(**given, **arguments)

    signature = inspect.signature(run, eval_str=True)
    left = [parameter for name, parameter in signature.parameters.items() if name not in given]
    command.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
    command.__doc__ = text
    return command


def _with_options(command: Callable[..., Any], run: Callable[..., Any]) -> Callable[..., Any]:
    """``command`` with the parameters of ``run``, but for the first, in place of its ``**own``."""
    shared = list(inspect.signature(command, eval_str=True).parameters.values())[:-1]
    own = list(inspect.signature(run, eval_str=True).parameters.values())[1:]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*shared, *own)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__doc__ = run.__doc__
    return command
