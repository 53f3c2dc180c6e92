"""What a text that is encrypted with SOPS says about itself, all of it public. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from gitsync.errors import YamlError
from gitsync.kubeyaml import load, split

#: What SOPS calls the formats that it knows; binary is anything, wrapped into JSON.
Format = Literal["yaml", "json", "dotenv", "ini", "binary"]

_BY_ENDING: Final[dict[str, Format]] = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".env": "dotenv",
    ".ini": "ini",
    ".dockerconfigjson": "json",
}
#: What only an encrypted text holds, in each of the formats, in the order in which they are looked for.
_MARKS: Final[tuple[tuple[Format, re.Pattern[bytes]], ...]] = (
    ("json", re.compile(rb'"mac"\s*:\s*"ENC\[')),
    ("dotenv", re.compile(rb"^sops_mac=ENC\[", re.MULTILINE)),
    ("ini", re.compile(rb"^\[sops\]", re.MULTILINE)),
    ("yaml", re.compile(rb"\bmac: ['\"]?ENC\[")),
)
#: The lists of keys in the metadata: what SOPS calls a kind of key, and which field says whose one is.
_NAMED_BY: Final = {
    "age": "recipient",
    "pgp": "fp",
    "kms": "arn",
    "gcp_kms": "resource_id",
    "azure_kv": "vault_url",
    "hc_vault": "vault_address",
    "hckms": "key_id",
}
#: The same in a format that knows no lists.
_FLAT: Final = re.compile(
    r"^(?:sops_)?(?:key_groups__list_\d+__map_)?("
    + "|".join(_NAMED_BY)
    + r")__list_\d+__map_("
    + "|".join(sorted(set(_NAMED_BY.values())))
    + r")\s*=\s*(\S+)",
    re.MULTILINE,
)
_NAMES_A_KEY: Final = re.compile(r"[\w.:/@+=~-]{1,300}")


class Recipient(NamedTuple):
    """One for whom a text is encrypted: the kind of key as SOPS calls it, and the public name of the key."""

    kind: str
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == "age" else f"{self.kind} {self.name}"


def file_format(name: str) -> Format:
    """The format of a file by its name, as SOPS and Flux tell it."""
    return next((found for ending, found in _BY_ENDING.items() if name.endswith(ending)), "binary")


def entry_format(name: str) -> Format:
    """The format of a file of variables by its name: dotenv unless that says otherwise."""
    found = file_format(name)
    return "dotenv" if found == "binary" else found


def is_marked(data: bytes, expected: Format) -> bool:
    """Whether a file of this format is encrypted."""
    wanted = "json" if expected == "binary" else expected
    return any(mark.search(data) is not None for found, mark in _MARKS if found == wanted)


def marked_format(data: bytes) -> Format | None:
    """The format of an encrypted text whose name says nothing; None when it is not encrypted."""
    return next((found for found, mark in _MARKS if mark.search(data) is not None), None)


def recipients(data: bytes, given: Format) -> tuple[Recipient, ...]:
    """For whom a text is encrypted, as far as that can be told."""
    text = data.decode("utf-8", "replace")
    if given in ("dotenv", "ini"):
        found = [Recipient(kind, name) for kind, field, name in _FLAT.findall(text) if _NAMED_BY[kind] == field]
    else:
        found = [item for metadata in _metadata(text, given) for item in _listed(metadata)]
    return tuple(dict.fromkeys(item for item in found if _NAMES_A_KEY.fullmatch(item.name)))


def _metadata(text: str, given: Format) -> Iterator[Any]:
    try:
        values = [json.loads(text)] if given != "yaml" else [load(document.text) for document in split(text)]
    except (ValueError, RecursionError, YamlError):
        return
    for value in values:
        if isinstance(value, dict):
            yield value.get("sops")


def _listed(metadata: Any) -> Iterator[Recipient]:
    if not isinstance(metadata, dict):
        return
    groups = metadata.get("key_groups")
    for group in [metadata, *(groups if isinstance(groups, list) else ())]:
        for kind, field in _NAMED_BY.items():
            entries = group.get(kind) if isinstance(group, dict) else None
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and isinstance(name := entry.get(field), str):
                    yield Recipient(kind, name)
