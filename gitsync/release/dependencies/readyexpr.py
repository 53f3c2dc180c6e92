"""Evaluates the readyExprs of a HelmRelease for its dependencies."""

from __future__ import annotations

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cel.expressions import Answer, Expressions, quoted
from gitsync.health import one_line
from gitsync.release.dependencies.index import ReleaseIndex


def with_ready_expr(release: HelmRelease) -> frozenset[ObjectKey]:
    """The dependencies with a readyExpr."""
    own = release.metadata.namespace
    return frozenset(item.key(own) for item in release.spec.depends_on if item.ready_expr)


async def evaluate_ready_exprs(release: HelmRelease, index: ReleaseIndex, expressions: Expressions) -> None:
    """Evaluate the release's readyExprs and put the answers into the index. Raises: RetryableError."""
    own = index.manifest(release.key)
    for dependency in release.spec.depends_on:
        live = index.dependency(dependency.key(release.metadata.namespace))
        if not dependency.ready_expr or own is None or live is None:
            continue
        why_not = await answer_about(dependency.ready_expr, own, live, expressions)
        index.set_answer(release.key, live, dependency.ready_expr, why_not)


async def answer_about(text: str, own: Manifest, dependency: Manifest, expressions: Expressions) -> str:
    """Why a readyExpr of ``own`` holds it back, "" when it does not. Raises: RetryableError."""
    variables = {"self": _with_status(own), "dep": _with_status(dependency)}
    return _why_not(text, await expressions.evaluate(text, variables))


def _with_status(manifest: Manifest) -> Manifest:
    """The object with a status, empty if it has none: for Flux's own types there always is one."""
    return {**manifest, "status": manifest.get("status") or {}}


def _why_not(text: str, answer: Answer) -> str:
    if isinstance(answer, str):
        return f"readyExpr {quoted(text)}: {one_line(answer)}"
    return "" if answer else f"readyExpr {quoted(text)} is false"
