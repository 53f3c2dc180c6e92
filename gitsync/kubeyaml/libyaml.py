"""libyaml's events, and its errors as YamlError with place and hint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from gitsync.errors import NotYaml, YamlError
from gitsync.kubeyaml.documents import line_and_column

if TYPE_CHECKING:
    from collections.abc import Iterator

#: libyaml's parser; where PyYAML was built without libyaml, its own, which is much slower.
_Parser: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TEMPLATE_HINT: Final = (
    "manifests are applied as they are: {{ }} is filled in only inside a chart; quote it if it is meant"
)
#: Stands for the merge key among a mapping's keys, none of which can be called that: libyaml reads no half of a
#: surrogate pair (a NUL it does, from an escape).
MERGE: Final = "<<\ud800"
_MERGE_TAGS: Final = ("!", "tag:yaml.org,2002:merge")
_CONFLICT: Final = re.compile(r"^(<<<<<<<|>>>>>>>) ", re.MULTILINE)


def events(text: str, *, first_line: int = 1) -> Iterator[Any]:
    """libyaml's events for ``text``, whose marks count characters. Messages count lines from ``first_line``.

    Raises: NotYaml, with its place, where the text is no YAML.
    """
    try:
        parser = _Parser(text)
        try:
            while (event := parser.get_event()) is not None:
                yield event
        finally:
            parser.dispose()
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise _explained(text, error, first_line) from None


def is_merge_key(key: Any) -> bool:
    """Whether the scalar event ``key`` of a mapping is a merge key for Kubernetes: ``<<`` unquoted, or, quoted or
    not, with the tag ``!!merge`` or ``!``."""
    return bool(key.value == "<<" and (key.implicit[0] or key.tag in _MERGE_TAGS))


def error_at(text: str, index: int, message: str, *, hint: str = "") -> YamlError:
    """An error at one character of ``text``."""
    line, column = line_and_column(text, index)
    return YamlError(message, line=line, column=column, hint=hint)


def _explained(text: str, error: Exception, first_line: int) -> NotYaml:
    """libyaml's error with its place. Its words are constant texts; none of the document's content is in them."""
    if isinstance(error, yaml.reader.ReaderError):
        line, column = line_and_column(text, int(error.position))
        return NotYaml("a character that YAML does not allow", line=line, column=column)
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return NotYaml("not valid YAML")
    index = min(error.problem_mark.index, len(text))
    line, column = line_and_column(text, index)
    message = f"not valid YAML: {error.problem}"
    if error.context and error.context_mark is not None:
        begin, _ = line_and_column(text, error.context_mark.index)
        if begin != line:
            message += f" {error.context} that begins on line {begin + first_line - 1}"
    return NotYaml(message, line=line, column=column, hint=probable_cause(text, index, str(error.problem)))


#: What the parser calls a line that is at none of the depths of those above it.
_MISPLACED: Final = ("did not find expected key", "did not find expected '-' indicator")
_QUOTE_COLON = "quote a value that has a colon and a space in it"
_TOO_DEEP = "indent it as its neighbours are: it is deeper than the field above, which has its value already"
_OUT_OF_LINE = "indent it as its neighbours are"


def probable_cause(text: str, index: int, problem: str = "") -> str:
    """A hint at what is probably wrong, by the line that the parser stopped on and what it calls the ``problem``; ""
    when nothing is known."""
    begin = text.rfind("\n", 0, index) + 1
    end = text.find("\n", index)
    line = text[begin : end if end >= 0 else len(text)]
    if _CONFLICT.search(text):
        return "a merge conflict is left in the file"
    if "{{" in line:
        return _TEMPLATE_HINT
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces: YAML allows no tabs there"
    if text.lstrip().startswith("%"):
        return "Kubernetes reads no % directives: leave the line out"
    if text[index : index + 1] == ":" and text[index + 1 : index + 2] in (",", "[", "]", "{", "}"):
        return "quote a text that ends with a colon within brackets"
    if text[index : index + 1] in ("@", "`"):
        return "a value may not begin with this character: quote it"
    return _cause_of(problem, text[begin:index])


def _cause_of(problem: str, before: str) -> str:
    """The same by what the parser calls it, and the line ``before`` that place."""
    if problem.startswith("mapping values are not allowed"):
        return _QUOTE_COLON if ": " in before else _TOO_DEEP
    if problem in _MISPLACED and not before.strip():
        return _OUT_OF_LINE
    return ""
