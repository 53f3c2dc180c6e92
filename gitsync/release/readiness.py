"""When a release's objects count as ready, by its HelmRelease: by expressions, or as Helm 3 waits (``legacy``); and
checks that the expressions of a HelmRelease or Kustomization compile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitsync.api.fields import FieldError, FieldPath
from gitsync.api.helmrelease import Dependency, HelmRelease, HelmReleaseSpec
from gitsync.api.kustomization import Kustomization, KustomizationDependency, KustomizationSpec
from gitsync.apply.readiness import HealthChecks, Readiness, texts_of
from gitsync.cel.expressions import Expressions, quoted
from gitsync.errors import FieldErrors
from gitsync.health import helm_waits_for, one_line

LEGACY = "legacy"


def readiness_of(spec: HelmReleaseSpec, expressions: Expressions, *, jobs: bool) -> Readiness:
    """The readiness that a HelmRelease asks for. With the legacy strategy, expressions are not evaluated, as in
    Flux."""
    if spec.wait_strategy.name == LEGACY:
        return Readiness(helm_waits_for, jobs)
    checks = HealthChecks(spec.health_check_exprs, expressions) if spec.health_check_exprs else None
    return Readiness(jobs=jobs, checks=checks)


class Written(NamedTuple):
    """An expression in an object, and its path; ``names`` as for ``Expressions.error_of``."""

    path: FieldPath
    text: str
    names: tuple[str, ...] = ()


async def check_expressions(of: HelmRelease | Kustomization, expressions: Expressions) -> None:
    """Raises: FieldErrors naming every expression of an object that does not compile; RetryableError."""
    errors = [
        FieldError(path, f"{one_line(wrong)}, in: {quoted(text)}")
        for path, text, names in _written(of.spec)
        if (wrong := await expressions.error_of(text, names))
    ]
    if errors:
        raise FieldErrors(errors)


def _written(spec: HelmReleaseSpec | KustomizationSpec) -> Iterator[Written]:
    dependencies: Sequence[Dependency | KustomizationDependency] = spec.depends_on
    for index, dependency in enumerate(dependencies):
        if dependency.ready_expr:
            yield Written(("spec", "dependsOn", index, "readyExpr"), dependency.ready_expr, ("self", "dep"))
    if isinstance(spec, HelmReleaseSpec) and spec.wait_strategy.name == LEGACY:
        return
    for index, check in enumerate(spec.health_check_exprs):
        for name, text in texts_of(check).items():
            if text or name == "current":
                yield Written(("spec", "healthCheckExprs", index, name), text)
