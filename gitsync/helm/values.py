"""Values: read, merged and set as Helm's ``-f``, ``--set`` and ``--set-literal`` do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gitsync import kubeyaml
from gitsync.errors import NotYaml, ValuesError, YamlError

#: A step of a path: the key of a map, or the index of a list.
_Step = str | int
_MARK = "gitsync"
#: Up to here each whole number is a floating point number, too.
_EXACT = 2**53
#: What YAML takes in no string as it is, and JSON does.
_UNPRINTABLE = re.compile("[\x7f-\x9f\ufeff\ufffe\uffff]")


def merge_values(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """``override`` over ``base``: maps merge deeply, everything else, lists too, is replaced.

    A null stays: Helm takes it, when it meets the chart's defaults, as the wish to delete that default. Neither
    argument is changed; the result shares what it did not have to merge, so treat all three as frozen.
    """
    merged = dict(base)
    for key, value in override.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = merge_values(below, value) if both else value  # type: ignore[arg-type]  # narrowed by `both`
    return merged


def read_values(text: str) -> dict[str, Any]:
    """A values file as Helm's ``-f`` reads it: its first document, ``{}`` for an empty one, with all numbers as
    floating point ones, which have no more digits than fit 53 bits. Blocks.

    Raises: ValuesError when it is no YAML mapping.
    """
    try:
        found = kubeyaml.read_first(text)
    except YamlError as error:
        if (taken := taken_by_helm(text, error)) is not None:
            return taken
        raise ValuesError(f"values cannot be used: line {error.line}: {error.message}", hint=error.hint) from None
    if isinstance(found, list):
        raise ValuesError("values cannot be used: a list where a mapping is expected")
    values: dict[str, Any] = _floating(found or {})
    return values


def taken_by_helm(text: str, error: YamlError) -> dict[str, Any] | None:
    """What Helm's own parser makes of a text that is refused with this error: it takes a little that libyaml does not.
    None when it refuses that, too, or it is not libyaml that does. Blocks."""
    if not isinstance(error, NotYaml):
        return None
    from gitsync.helm import native  # as in set_value

    try:
        return native.load_yaml(text)
    except ValuesError:
        return None


def _floating(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floating(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floating(item) for item in value]
    return kubeyaml.json_number(float(value)) if isinstance(value, int) and abs(value) > _EXACT else value


def values_yaml(values: Mapping[str, Any], *, sort: bool = False) -> bytes:
    """A values file that holds these. It is JSON, which is YAML: no other notation reads the same in all parsers."""
    text = json.dumps(values, ensure_ascii=False, sort_keys=sort)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def set_value(values: Mapping[str, Any], path: str, text: str, *, literal: bool = False) -> dict[str, Any]:
    """The values with ``text`` set at ``path``, as ``--set PATH=TEXT`` sets it over ``values``. Blocks.

    Text in quotes is a string whatever is in them (Flux's addition to the grammar); with ``literal`` it is one in any
    case, as for ``--set-literal``. As in Helm, a comma in a text that is neither a list nor escaped begins another
    assignment. ``values`` is not changed.

    Raises: ValuesError for what Helm does not take, which is also a path through a value that is no map or list.
    """
    # Here alone, since only workers and commands need it: with the SDK a process takes 52 MiB more.
    from gitsync.helm import native

    result: dict[str, Any]
    if literal:
        result = _placed(values, _steps(native.parse_set_literal(f"{path}={_MARK}")), text)
        return result
    parse = native.parse_set
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        parse, text = native.parse_set_string, text.strip("'\"")
    # Helm sets into the values it has; the SDK only into nothing. So path and value are parsed apart.
    steps = _steps(native.parse_set(f"{path}={_MARK}"))
    parsed = parse(f"{_MARK}={text}")
    result = _placed(values, steps, parsed.pop(_MARK))
    return merge_values(result, parsed)


def _steps(parsed: Any) -> list[_Step]:
    """The way to the one value that is set."""
    steps: list[_Step] = []
    while parsed != _MARK:
        if isinstance(parsed, list):
            steps.append(len(parsed) - 1)
        elif isinstance(parsed, dict) and len(parsed) == 1:
            steps.append(next(iter(parsed)))
        else:
            raise ValuesError("not a path to one value")
        parsed = parsed[steps[-1]]
    if not steps:
        raise ValuesError("not a path")
    return steps


def _placed(base: Any, steps: list[_Step], value: Any, within: _Step = "") -> Any:
    """A copy of ``base`` with ``value`` at ``steps``; ``within`` is the step that led to ``base``.

    As in Helm (pkg/strvals), a list is made longer as needed, and what stands in one where a map is needed gives way.
    """
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if base is not None and not isinstance(base, list):
            raise ValuesError(f"[{step}] of what is no list")
        items = [*(base or []), *([None] * (step + 1 - len(base or [])))]
        items[step] = _placed(items[step], rest, value, step)
        return items
    if base is not None and not isinstance(base, Mapping):
        if not isinstance(within, int):
            raise ValuesError(f"{step} of what is no map")
        base = None
    return {**(base or {}), step: _placed((base or {}).get(step), rest, value, step)}
