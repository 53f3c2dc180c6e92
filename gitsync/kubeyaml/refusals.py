"""Documents that libyaml reads and Kubernetes' parser does not: where, and why, without quoting them."""

from __future__ import annotations

import re
from typing import Any, Final

from yaml import events as yaml_events

from gitsync.errors import YamlError
from gitsync.kubeyaml import goyaml
from gitsync.kubeyaml.events import error_at, events

#: The parser's words, and ours.
_REASONS: Final = (
    ("unsupported value", "infinity and not-a-number, which JSON cannot express"),
    ("cannot decode", "a value that is not what its tag says"),
    ("map merge requires", "<< takes a mapping or a list of mappings"),
    ("incompatible YAML document", "a %YAML directive for another version than 1.1"),
    ("excessive aliasing", "aliases that stand for too much"),
    ("unknown escape character", "an escape that Kubernetes' YAML does not know"),
    ("base64", "!!binary with something else than base64"),
    ("unsupported map key", "a key that is neither text, a whole number nor a boolean"),
)
_LINE: Final = re.compile(r"line ([0-9]+)")
_MAX_SUSPECTS: Final = 200


def explain(text: str, refusal: str) -> YamlError:
    """The error for a document that goyaml refuses with the words ``refusal``, which may quote it."""
    message = next((ours for theirs, ours in _REASONS if theirs in refusal), "Kubernetes' YAML parser refuses this")
    suspects = 0
    is_merge = False
    for event in events(text):
        if is_merge and "merge" in refusal and type(event) is yaml_events.ScalarEvent:
            return error_at(text, event.start_mark.index, message)
        is_merge = getattr(event, "value", "") == "<<"
        if not _is_suspect(text, event):
            continue
        suspects += 1
        if suspects > _MAX_SUSPECTS:
            break
        if _is_refused(text[event.start_mark.index : event.end_mark.index]):
            return error_at(text, event.start_mark.index, message)
    line = _LINE.search(refusal)
    return YamlError(message, line=int(line[1]) if line else 1)


def _is_suspect(text: str, event: Any) -> bool:
    """Whether a scalar could by itself be the reason: it has a tag, an escape, or reads like an odd number."""
    if type(event) is not yaml_events.ScalarEvent:
        return False
    if event.tag is not None:
        return True
    written = text[event.start_mark.index : event.end_mark.index]
    return "\\" in written if not event.implicit[0] else written.lstrip("+-").startswith(".")


def _is_refused(scalar: str) -> bool:
    try:
        goyaml.mapping(f"x: {scalar}\n")
    except goyaml.GoyamlRefusal:
        return True
    return False
