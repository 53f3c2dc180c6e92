"""Label and field selectors, as lists, watches and deletions of collections take them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from gitsync.sandbox.failures import bad_request
from gitsync.sandbox.kinds.catalog import Resource

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


Selector = Callable[["Manifest"], bool]

_SET: Final = re.compile(r"([^\s!=,()]+)\s+(in|notin)\s+\(([^)]*)\)")
_EQUAL: Final = re.compile(r"([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)")
_EXISTS: Final = re.compile(r"(!?)\s*([^\s!=,()]+)")
_FIELD: Final = re.compile(r"([^=!,]+)(==|=|!=)([^,]*)")
#: What can be selected by beside name and namespace.
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "Secret": frozenset({"type"}),
    "Namespace": frozenset({"status.phase"}),
    "Pod": frozenset(
        {"status.phase", "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.podIP"}
    ),
    "Job": frozenset({"status.successful"}),
    "ReplicaSet": frozenset({"status.replicas"}),
    "Event": frozenset(
        {f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")}
        | {"involvedObject.resourceVersion", "reason", "reportingComponent", "source", "type"}
    ),
}


def label_selector(text: str) -> Selector:
    """Raises: Failure 400 for what is none."""
    rest, tests = text.strip(), []
    while rest:
        found = ((pattern.match(rest), make) for pattern, make in _REQUIREMENTS)
        match, make = next((each for each in found if each[0]), (None, _exists))
        if match is None:
            raise bad_request(f"unable to parse requirement: {text!r}")
        tests.append(make(match))
        rest = rest[match.end() :].strip()
        if rest and not rest.startswith(","):
            raise bad_request(f"unable to parse requirement: found {rest!r}, expected: ','")
        rest = rest[1:].strip()
    return lambda manifest: all(test(manifest["metadata"].get("labels") or {}) for test in tests)


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector, as objects have it, selects; None selects nothing."""
    if selector is None:
        return False
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    for expression in selector.get("matchExpressions") or ():
        value, operator = labels.get(expression["key"]), expression["operator"]
        found = {
            "In": value in (expression.get("values") or ()),
            "NotIn": value not in (expression.get("values") or ()),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not found.get(operator):
            return False
    return True


def field_selector(text: str, resource: Resource) -> Selector:
    """Raises: Failure 400 for a field that cannot be selected by."""
    known = {"metadata.name", "metadata.namespace"} | _FIELDS.get("" if resource.custom else resource.kind, frozenset())
    tests = []
    for part in filter(None, text.split(",")):
        match = _FIELD.fullmatch(part)
        if match is None:
            raise bad_request(f"invalid selector: {text!r}; can't understand {part!r}")
        name, operator, value = match.groups()
        if name not in known:
            raise bad_request(f"field label not supported: {name}")
        tests.append((tuple(name.split(".")), operator == "!=", value))
    return lambda manifest: all((_at(manifest, path) == value) is not negated for path, negated, value in tests)


def _in_set(match: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    name, negated = match[1], match[2] == "notin"
    values = {value.strip() for value in match[3].split(",")}
    return lambda labels: (name in labels and labels[name] in values) is not negated


def _equal(match: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    name, negated, value = match[1], match[2] == "!=", match[3]
    return lambda labels: (labels.get(name) == value) is not negated


def _exists(match: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    name, negated = match[2], bool(match[1])
    return lambda labels: (name in labels) is not negated


def _at(manifest: Manifest, path: tuple[str, ...]) -> str:
    value: Any = manifest
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)


_REQUIREMENTS: Final = ((_SET, _in_set), (_EQUAL, _equal), (_EXISTS, _exists))
