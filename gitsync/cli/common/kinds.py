"""The kinds that commands work on one object at a time, and what those commands have in common on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from gitsync.api.duration import parse_duration
from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, HELM_REPOSITORY, SOURCE_GROUP
from gitsync.cli.common.lazy import AliasGroup
from gitsync.cli.common.options import CONTEXT, with_settings

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which ones.", show_default=False)]
Namespace = Annotated[str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace to look in.")]
All = Annotated[bool, typer.Option("--all", help="All of the namespace.")]
Timeout = Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to wait at most.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done, or only ask for it.")]

cluster_settings = with_settings("Cluster", leave_out=("namespace",))


@dataclass(frozen=True, slots=True)
class Kind:
    """``word`` is how commands call it."""

    group: str
    kind: str
    word: str

    def key(self, namespace: str, name: str) -> ObjectKey:
        """One object of this kind."""
        return ObjectKey(self.group, self.kind, namespace, name)


RELEASE = Kind(HELM_GROUP, HELM_RELEASE, "helmrelease")
REPOSITORY = Kind(SOURCE_GROUP, HELM_REPOSITORY, "source helm")
KINDS = {(kind.group, kind.kind): kind for kind in (RELEASE, REPOSITORY)}


class _Kinds(AliasGroup):
    aliases: ClassVar[Mapping[str, str]] = {"hr": "helmrelease", "helmreleases": "helmrelease", "sources": "source"}


class _Sources(AliasGroup):
    aliases: ClassVar[Mapping[str, str]] = {"helmrepository": "helm", "helmrepositories": "helm", "helmrepo": "helm"}


def release_app() -> typer.Typer:
    """A command for HelmReleases only: ``VERB helmrelease``."""
    return typer.Typer(
        cls=_Kinds, no_args_is_help=True, add_completion=False, rich_markup_mode="rich", context_settings=CONTEXT
    )


def kinds_app() -> tuple[typer.Typer, typer.Typer]:
    """A command for both kinds, and its group of sources: ``VERB helmrelease`` and ``VERB source helm``."""
    app = release_app()
    sources = typer.Typer(cls=_Sources, no_args_is_help=True, rich_markup_mode="rich", context_settings=CONTEXT)
    app.add_typer(sources, name="source")
    return app, sources


def seconds(text: str, option: str = "--timeout") -> float:
    """What a duration given as ``option`` means. Raises: typer.BadParameter."""
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; it is written as 30s, 5m or 1h30m", param_hint=option) from None
    if value <= 0:
        raise typer.BadParameter("must be more than zero", param_hint=option)
    return value


def chosen(names: list[str] | None, everything: bool) -> tuple[str, ...]:
    """The names given, () for all. Raises: typer.BadParameter for neither and for both."""
    if bool(names) is everything:
        raise typer.BadParameter("either names or --all", param_hint="NAME")
    return tuple(dict.fromkeys(names or ()))
