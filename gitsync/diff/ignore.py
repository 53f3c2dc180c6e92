"""Fields of objects that are left to others, by rules: ``spec.driftDetection.ignore`` of a HelmRelease,
``spec.ignore`` of a Kustomization. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import re2

from gitsync.api.fields import Selector
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.parts.rendering import IgnoreRule
from gitsync.text import whole_number

_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<no>[^\s,!=()]+)"
    r"|(?P<key>[^\s,!=()]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[^\s,!=()]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|$)"
)


def tolerating(desired: Manifest, live: Manifest, rules: Iterable[IgnoreRule]) -> Manifest:
    """``desired`` with what does not count taken from ``live``, so that neither comparing nor applying it touches that.

    The input is not changed.
    """
    pointers = [path for rule in rules if rule.target is None or selects(rule.target, desired) for path in rule.paths]
    if not pointers:
        return desired
    result = copy.deepcopy(desired)
    for pointer in pointers:
        if pointer in ("", "/"):
            return live
        _take_over(result, live, [_unescaped(step) for step in pointer.removeprefix("/").split("/")])
    return result


def selects(target: Selector, manifest: Manifest) -> bool:
    """Whether a target means this object: regular expressions for the whole of each name, as kustomize reads them."""
    key = ObjectKey.of(manifest)
    metadata = manifest["metadata"]
    version = str(manifest["apiVersion"]).rpartition("/")[2]
    named = (
        (target.group, key.group),
        (target.version, version),
        (target.kind, key.kind),
        (target.name, key.name),
        (target.namespace, key.namespace),
    )
    return (
        all(not pattern or _matches(pattern, text) for pattern, text in named)
        and labels_match(target.label_selector, metadata.get("labels") or {})
        and labels_match(target.annotation_selector, metadata.get("annotations") or {})
    )


def labels_match(selector: str, labels: Mapping[str, str]) -> bool:
    """A selector in the syntax of ``kubectl -l``. One that cannot be read matches nothing."""
    place = 0
    while place < len(selector):
        term = _TERM.match(selector, place)
        if term is None or not _holds(term.groupdict(), labels):
            return False
        place = term.end()
    return True


def _holds(term: Mapping[str, str | None], labels: Mapping[str, str]) -> bool:
    if term["absent"]:
        return term["no"] not in labels
    found = labels.get(term["key"] or "")
    if term["op"]:
        return (found == term["value"]) is (term["op"] != "!=")
    if term["set"]:
        values = {value.strip() for value in (term["values"] or "").split(",")}
        return (found in values) is (term["set"] == "in")
    return found is not None


@lru_cache(256)
def _pattern(text: str) -> Any:
    """Compiled so that matching takes linear time, whatever somebody wrote; None for what is no expression."""
    try:
        return re2.compile(text)
    except re2.error:
        return None


def _matches(pattern: str, text: str) -> bool:
    compiled = _pattern(pattern)
    return compiled is not None and compiled.fullmatch(text) is not None


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _take_over(desired: Any, live: Any, path: list[str]) -> None:
    """Give ``desired`` at ``path`` the value of ``live``, or none where that has none."""
    step, *rest = path
    if isinstance(desired, list):
        place = whole_number(step)
        if place is not None and place < len(desired):
            other = live[place] if isinstance(live, list) and place < len(live) else None
            if rest:
                _take_over(desired[place], other, rest)
            elif other is not None:
                desired[place] = copy.deepcopy(other)
        return
    if not isinstance(desired, dict):
        return
    other = live.get(step) if isinstance(live, dict) else None
    if rest:
        if step in desired:
            _take_over(desired[step], other, rest)
    elif other is None:
        desired.pop(step, None)
    elif step in desired:
        desired[step] = copy.deepcopy(other)
