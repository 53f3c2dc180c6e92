"""When applied objects count as ready: by gitsync's own rules, or by expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gitsync.api.identity import Manifest, ObjectKey, group_of
from gitsync.api.parts.rendering import HealthCheck
from gitsync.cel.expressions import Answer, Expressions
from gitsync.health import (
    ASKED,
    READY,
    Health,
    assess,
    before_asking,
    by_answers,
    has_health,
)


class HealthChecks:
    """``healthCheckExprs``: the kinds that they judge, and what they say of an object."""

    def __init__(self, checks: Sequence[HealthCheck], expressions: Expressions) -> None:
        self._expressions = expressions
        self._by_kind: dict[tuple[str, str], dict[str, str]] = {}
        for check in checks:
            given = {name: text for name, text in texts_of(check).items() if text}
            self._by_kind.setdefault((group_of(check.api_version), check.kind), given)

    def concern(self, group: str, kind: str) -> bool:
        """Whether there are expressions for a kind, or for all kinds of its group."""
        return self._of(group, kind) is not None

    async def health(self, live: Manifest) -> Health:
        """What the expressions say of an object that they are about. Raises: RetryableError."""
        if (health := before_asking(live)) is not None:
            return health
        given = self._of(group_of(live["apiVersion"]), live["kind"])
        assert given is not None
        answers: dict[str, Answer] = {}
        for name, text in given.items():
            answers[name] = await self._expressions.evaluate(text, live)
            if answers[name] is not False:
                break  # the first answer that is not False decides
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
        """How an object is that the cluster has: READY where nobody waits for it, else as expressions say, or by the
        rules of its kind.

        Raises: RetryableError when an expression cannot be evaluated for now.
        """
        key = ObjectKey.of(live)
        if not self.awaits(key):
            return READY
        return await self.checks.health(live) if self.checks and self.asks(key) else assess(live)


#: Everything that has a health, Jobs included, by gitsync's own rules.
KSTATUS = Readiness()


def texts_of(check: HealthCheck) -> dict[str, str]:
    """The expressions of a check by their names, in the order in which they are asked."""
    return dict(zip(ASKED, (check.in_progress, check.failed, check.current), strict=True))
