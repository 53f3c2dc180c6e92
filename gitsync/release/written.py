"""The expressions that a HelmRelease holds: whether they compile, and what its readyExprs say of its dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gitsync.api.fields import FieldError, FieldPath
from gitsync.api.helmrelease import HelmRelease, HelmReleaseSpec
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.errors import FieldErrors
from gitsync.health import ASKED, one_line
from gitsync.release.expressions import Answer, Expressions
from gitsync.release.index import ReleaseIndex

_SELF, _DEP = "self", "dep"
#: Characters of an expression that a message quotes.
_QUOTED = 120


class _Written(NamedTuple):
    """An expression of a HelmRelease, and where in it; ``names`` as for ``Expressions.error_of``."""

    path: FieldPath
    text: str
    names: tuple[str, ...] = ()


async def check_expressions(release: HelmRelease, expressions: Expressions) -> None:
    """Raises: FieldErrors naming every expression of the release that does not compile; RetryableError."""
    errors = [
        FieldError(path, f"{wrong}, in: {_quoted(text)}")
        for path, text, names in _written(release.spec)
        if (wrong := await expressions.error_of(text, names))
    ]
    if errors:
        raise FieldErrors(errors)


def _written(spec: HelmReleaseSpec) -> Iterator[_Written]:
    for index, dependency in enumerate(spec.depends_on):
        if dependency.ready_expr:
            yield _Written(("spec", "dependsOn", index, "readyExpr"), dependency.ready_expr, (_SELF, _DEP))
    if spec.wait_strategy.name == "legacy":
        return
    for index, check in enumerate(spec.health_check_exprs):
        for name, text in zip(ASKED, (check.in_progress, check.failed, check.current), strict=True):
            if text or name == "current":
                yield _Written(("spec", "healthCheckExprs", index, name), text)


def judged_by_expression(release: HelmRelease) -> frozenset[ObjectKey]:
    """The dependencies with a readyExpr."""
    own = release.metadata.namespace
    return frozenset(item.key(own) for item in release.spec.depends_on if item.ready_expr)


async def judge_dependencies(release: HelmRelease, index: ReleaseIndex, expressions: Expressions) -> None:
    """Put the answers to the release's readyExprs, as things are now, into the index. Raises: RetryableError."""
    own = index.raw(release.key)
    for dependency in release.spec.depends_on:
        key = dependency.key(release.metadata.namespace)
        live = index.raw(key)
        if not dependency.ready_expr or own is None or live is None:
            continue
        variables = {_SELF: _with_status(own), _DEP: _with_status(live)}
        (answer,) = await expressions.evaluate([dependency.ready_expr], variables)
        index.judge(release.key, live, dependency.ready_expr, _why_not(dependency.ready_expr, answer))


def _with_status(manifest: Manifest) -> Manifest:
    """Flux's objects have a status before anybody has written one."""
    return {**manifest, "status": manifest.get("status") or {}}


def _why_not(text: str, answer: Answer) -> str:
    if isinstance(answer, str):
        return f"readyExpr {_quoted(text)}: {one_line(answer)}"
    return "" if answer else f"readyExpr {_quoted(text)} is false"


def _quoted(text: str) -> str:
    return f"`{one_line(text, _QUOTED)}`"
