"""The CEL expressions of Kustomizations: ``readyExpr`` of dependencies, and ``healthCheckExprs``."""

from __future__ import annotations

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.apply.readiness import KSTATUS, HealthChecks, Readiness
from gitsync.cel.expressions import Expressions
from gitsync.release.dependencies.readyexpr import answer_about
from gitsync.release.readiness import check_expressions
from gitsync.sync.kustomization.waiting.dependencies import Answers, Find


class Judging:
    """Evaluates them. ``find`` gives an object that may be waited for."""

    def __init__(self, expressions: Expressions, find: Find) -> None:
        self._expressions = expressions
        self._find = find
        #: The objects that each Kustomization's readyExprs are about: any change of these may end its wait.
        self.about: dict[ObjectKey, frozenset[ObjectKey]] = {}

    async def check(self, kustomization: Kustomization) -> None:
        """Raises: FieldErrors for expressions that do not compile; RetryableError."""
        await check_expressions(kustomization, self._of(kustomization))

    async def answers(self, kustomization: Kustomization) -> Answers:
        """For each dependency with a readyExpr, why that holds the Kustomization back, "" when it does not. Raises:
        RetryableError."""
        asked = [(it.key(kustomization.key.namespace), it.ready_expr) for it in kustomization.spec.depends_on]
        asked = [(key, expression) for key, expression in asked if expression]
        if not asked:
            self.forget(kustomization.key)
            return {}
        self.about[kustomization.key] = frozenset(key for key, _ in asked)
        found: dict[ObjectKey, str] = {}
        for key, expression in asked:
            live = self._find(key)
            if live is not None and not found.get(key):
                found[key] = await answer_about(expression, kustomization.manifest, live, self._of(kustomization))
        return found

    def readiness(self, kustomization: Kustomization) -> Readiness:
        """When the objects count as ready that the Kustomization waits for."""
        checks = kustomization.spec.health_check_exprs
        return Readiness(checks=HealthChecks(checks, self._of(kustomization))) if checks else KSTATUS

    def _of(self, kustomization: Kustomization) -> Expressions:
        return self._expressions.of(kustomization.key.namespace)

    def forget(self, key: ObjectKey) -> None:
        """Forget the objects that its readyExprs are about."""
        self.about.pop(key, None)
