"""Where and why goyaml refuses a document that libyaml reads, said without quoting the document."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from yaml import events as yaml_events

from gitsync.errors import YamlError
from gitsync.kubeyaml import goyaml
from gitsync.kubeyaml.libyaml import error_at, events

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCALAR: Final[Any] = yaml_events.ScalarEvent
#: Words in goyaml's message -> what the YamlError says.
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
    for event, written in islice(_suspects(text, "merge" in refusal), _MAX_SUSPECTS):
        if written is None or _is_refused(written):
            return error_at(text, event.start_mark.index, message)
    line = _LINE.search(refusal)
    return YamlError(message, line=int(line[1]) if line else 1)


def _suspects(text: str, is_merge: bool) -> Iterator[tuple[Any, str | None]]:
    """Events of scalars that may be the reason, each with the scalar as it is written: those with a tag, an escape or a
    leading dot. A single value after a merge key is the reason for certain, and comes with None."""
    after_merge_key = False
    for event in events(text):
        if type(event) is _SCALAR:
            written = text[event.start_mark.index : event.end_mark.index]
            if after_merge_key and is_merge:
                yield event, None
            elif event.tag is not None or "\\" in written or written.lstrip("+-").startswith("."):
                yield event, written
        after_merge_key = getattr(event, "value", "") == "<<"


def _is_refused(scalar: str) -> bool:
    try:
        goyaml.mapping(f"x: {scalar}\n")
    except goyaml.GoyamlRefusal:
        return True
    return False
