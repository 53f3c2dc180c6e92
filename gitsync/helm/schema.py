"""A chart's ``values.schema.json`` may refer to itself only: the SDK would read any file and fetch any URL. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from gitsync.errors import ValuesError
from gitsync.helm.archive import ArchiveFile
from gitsync.text import shorten

#: Where Helm looks for them.
_SCHEMAS: Final = re.compile(r"(?:charts/[^/]+/)*values\.schema\.json")
#: What leads to another schema, and is looked up at once.
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
#: Schemas of schemas: the library has them built in.
_KNOWN: Final = frozenset(
    f"{scheme}://json-schema.org/{draft}/schema"
    for scheme in ("http", "https")
    for draft in ("draft-04", "draft-06", "draft-07", "draft/2019-09", "draft/2020-12")
)
_LONGEST = 120


def schema_fault(files: Iterable[ArchiveFile]) -> ValuesError | None:
    """What is wrong with the schemas among a chart's files, its subcharts' too: one that leads elsewhere, or cannot be
    read; None when nothing is."""
    for file in files:
        if _SCHEMAS.fullmatch(file.name) is None:
            continue
        try:
            where = next(_elsewhere(json.loads(file.data.decode("utf-8", "replace"))), None)
        except (ValueError, RecursionError):
            return ValuesError(
                f"the chart's {file.name} is itself no valid schema", hint="correct it, or disable schema validation"
            )
        if where is not None:
            return ValuesError(
                f"{file.name} refers to {shorten(where, _LONGEST)!r}: a schema may refer to itself only (#...)",
                hint="copy what it refers to into the schema, or disable schema validation",
            )
    return None


def _elsewhere(schema: Any) -> Iterator[str]:
    remaining = [schema]
    while remaining:
        item = remaining.pop()
        if isinstance(item, list):
            remaining += item
        elif isinstance(item, dict):
            remaining += item.values()
            for name in _REFERENCES:
                reference = item.get(name)
                if isinstance(reference, str) and not reference.startswith("#") and not _is_known(reference):
                    yield reference
            if isinstance(kind := item.get("$schema"), str) and not _is_known(kind):
                yield kind


def _is_known(url: str) -> bool:
    return url.partition("#")[0] in _KNOWN
