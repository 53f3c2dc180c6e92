"""When the objects of a release count as ready: by gitsync's own rules, by what Helm 3 waits for, or by expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gitsync.api.fields import FieldError, FieldPath
from gitsync.api.helmrelease import HelmRelease, HelmReleaseSpec
from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.api.rendering import HealthCheck
from gitsync.cel.expressions import Answer, Expressions, quoted
from gitsync.errors import FieldErrors
from gitsync.health import (
    ASKED,
    READY,
    Health,
    assess,
    before_asking,
    by_answers,
    has_health,
    helm_waits_for,
    one_line,
)

LEGACY = "legacy"


class HealthChecks:
    """``spec.healthCheckExprs``: the kinds that they judge, and what they say of an object."""

    def __init__(self, checks: Sequence[HealthCheck], expressions: Expressions) -> None:
        self._expressions = expressions
        self._by_kind: dict[tuple[str, str], dict[str, str]] = {}
        for check in checks:
            given = {name: text for name, text in _texts(check).items() if text}
            self._by_kind.setdefault((group_of(check.api_version), check.kind), given)

    def concern(self, group: str, kind: str) -> bool:
        """Whether there are expressions for a kind, or for all kinds of its group."""
        return self._of(group, kind) is not None

    async def health(self, live: Manifest) -> Health:
        """What they say of an object that they concern. Raises: RetryableError."""
        if (health := before_asking(live)) is not None:
            return health
        given = self._of(group_of(live["apiVersion"]), live["kind"])
        assert given is not None
        answers: dict[str, Answer] = {}
        for name, text in given.items():
            answers[name] = await self._expressions.evaluate(text, live)
            if answers[name] is not False:
                break  # it decides
        return by_answers(live, answers)

    def _of(self, group: str, kind: str) -> dict[str, str] | None:
        return self._by_kind.get((group, kind)) or self._by_kind.get((group, ""))


@dataclass(frozen=True, slots=True)
class Readiness:
    """``covers`` says which kinds are waited for at all, ``jobs`` whether Jobs are; ``checks`` judge those that they
    concern, ``assess`` all others.
    """

    covers: Callable[[str, str], bool] = has_health
    jobs: bool = True
    checks: HealthChecks | None = None

    def awaits(self, key: ObjectKey) -> bool:
        """Whether an object has to become ready."""
        if key.kind == "Job" and not self.jobs:
            return False
        return self.asks(key) or self.covers(key.group, key.kind)

    def asks(self, key: ObjectKey) -> bool:
        """Whether expressions judge an object."""
        return self.checks is not None and self.checks.concern(key.group, key.kind)

    async def health(self, live: Manifest) -> Health:
        """How a live object is. Raises: RetryableError."""
        key = ObjectKey.of(live)
        if not self.awaits(key):
            return READY
        return await self.checks.health(live) if self.checks and self.asks(key) else assess(live)


#: Everything that has a health, Jobs included, by gitsync's own rules.
KSTATUS = Readiness()


def readiness_of(spec: HelmReleaseSpec, expressions: Expressions, *, jobs: bool) -> Readiness:
    """As a HelmRelease has it. With the legacy strategy expressions are not asked, as in Flux."""
    if spec.wait_strategy.name == LEGACY:
        return Readiness(helm_waits_for, jobs)
    checks = HealthChecks(spec.health_check_exprs, expressions) if spec.health_check_exprs else None
    return Readiness(jobs=jobs, checks=checks)


class _Written(NamedTuple):
    """An expression of a HelmRelease, and where in it; ``names`` as for ``Expressions.error_of``."""

    path: FieldPath
    text: str
    names: tuple[str, ...] = ()


async def check_expressions(release: HelmRelease, expressions: Expressions) -> None:
    """Raises: FieldErrors naming every expression of the release that does not compile; RetryableError."""
    errors = [
        FieldError(path, f"{one_line(wrong)}, in: {quoted(text)}")
        for path, text, names in _written(release.spec)
        if (wrong := await expressions.error_of(text, names))
    ]
    if errors:
        raise FieldErrors(errors)


def _written(spec: HelmReleaseSpec) -> Iterator[_Written]:
    for index, dependency in enumerate(spec.depends_on):
        if dependency.ready_expr:
            yield _Written(("spec", "dependsOn", index, "readyExpr"), dependency.ready_expr, ("self", "dep"))
    if spec.wait_strategy.name == LEGACY:
        return
    for index, check in enumerate(spec.health_check_exprs):
        for name, text in _texts(check).items():
            if text or name == "current":
                yield _Written(("spec", "healthCheckExprs", index, name), text)


def _texts(check: HealthCheck) -> dict[str, str]:
    """Its expressions by their names, in the order in which they are asked."""
    return dict(zip(ASKED, (check.in_progress, check.failed, check.current), strict=True))
