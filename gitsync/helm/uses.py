"""Which functions of templates make a difference to where and how often a chart is rendered. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from gitsync.helm.archive import ArchiveFile

#: An action of a template.
ACTION = re.compile(rb"\{\{.*?\}\}", re.DOTALL)
#: Template functions whose result changes from call to call, or with the cluster.
_IMPURE = re.compile(
    rb"\b(?:lookup|rand\w*|gen(?:PrivateKey|CA|SelfSigned|Signed)\w*|uuidv4|now|ago|date\w*|htmlDate\w*|htpasswd|bcrypt"
    rb"|encryptAES|shuffle|getHostByName)\b"
)
_LOOKUP = re.compile(rb"\blookup\b")
_API_VERSIONS = re.compile(rb"\bAPIVersions\b")


class Uses(NamedTuple):
    """What the templates make use of, judged from their text: never too little, sometimes too much."""

    lookup: bool
    api_versions: bool
    impure: bool


def files_use(files: Iterable[ArchiveFile]) -> Uses:
    """From the text of all actions, and of everything else that ``tpl`` may be given (values, files)."""
    lookup = api_versions = impure = False
    for file in files:
        for action in ACTION.finditer(file.data):
            lookup = lookup or _LOOKUP.search(action[0]) is not None
            api_versions = api_versions or _API_VERSIONS.search(action[0]) is not None
            impure = impure or _IMPURE.search(action[0]) is not None
    return Uses(lookup, api_versions, impure)


def values_use(text: str) -> Uses:
    """The same for values (as JSON), which a template may hand to ``tpl``."""
    if "{{" not in text:
        return Uses(False, False, False)
    data = text.encode()
    found = (pattern.search(data) is not None for pattern in (_LOOKUP, _API_VERSIONS, _IMPURE))
    return Uses(*found)
