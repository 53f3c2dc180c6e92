"""Which Alert wants which event. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import re2

from gitsync.api.fields import FieldError
from gitsync.api.identity import ObjectKey
from gitsync.api.notification import EVERY, Alert, EventSource
from gitsync.errors import FieldErrors
from gitsync.notify.notice import Notice
from gitsync.text import printable, shorten

#: Expressions of an Alert, and characters of each.
MOST_EXPRESSIONS, LONGEST = 100, 2048
_SHOWN = 60


@dataclass(frozen=True)
class Rule:
    """An Alert, ready to be asked. ``crosses``: it may name objects of other namespaces."""

    alert: Alert
    included: tuple[Any, ...]
    excluded: tuple[Any, ...]
    crosses: bool

    @classmethod
    def of(cls, alert: Alert, *, crosses: bool) -> Rule:
        """Raises: FieldErrors for expressions that are none."""
        spec = alert.spec
        included = _compiled("inclusionList", spec.inclusion_list, alert.key)
        return cls(alert, included, _compiled("exclusionList", spec.exclusion_list, alert.key), crosses)

    @property
    def key(self) -> ObjectKey:
        """The Alert's identity."""
        return self.alert.key

    def wants(self, notice: Notice) -> bool:
        """Whether this is passed on."""
        spec = self.alert.spec
        if spec.suspend or (spec.event_severity == "error" and notice.severity != "error"):
            return False
        if not any(self._means(source, notice) for source in spec.event_sources):
            return False
        if self.included and not any(pattern.search(notice.message) for pattern in self.included):
            return False
        return not any(pattern.search(notice.message) for pattern in self.excluded)

    def dressed(self, notice: Notice) -> Notice:
        """The notice, with the summary and the metadata that the Alert adds."""
        spec = self.alert.spec
        summary = printable(spec.summary or spec.event_metadata.get("summary", ""))
        return replace(notice, metadata=spec.event_metadata, summary=summary)

    def _means(self, source: EventSource, notice: Notice) -> bool:
        key, own = notice.key, self.alert.metadata.namespace
        if (source.namespace or own) != key.namespace or source.kind != key.kind:
            return False
        if key.namespace != own and not self.crosses:
            return False
        if source.name not in (EVERY, key.name):
            return False
        return all(notice.labels.get(name) == value for name, value in source.match_labels.items())


def _compiled(field: str, expressions: Iterable[str], key: ObjectKey) -> tuple[Any, ...]:
    """By Go's grammar, in linear time."""
    found, wrong = [], []
    for index, text in enumerate(expressions):
        try:
            if len(text) > LONGEST or index >= MOST_EXPRESSIONS:
                raise re2.error("it is too long, or one of too many")
            found.append(re2.compile(text, _quiet()))
        except re2.error as error:
            shown = shorten(text, _SHOWN)
            why = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
            wrong.append(FieldError(("spec", field, index), f"{shown!r} is no regular expression: {why}"))
    if wrong:
        raise FieldErrors(wrong, key=key)
    return tuple(found)


def _quiet() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options
