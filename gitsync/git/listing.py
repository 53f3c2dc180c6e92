"""What ``git ls-tree`` says of a commit, as plain data."""

from __future__ import annotations

import re
from enum import Enum
from operator import itemgetter
from typing import NamedTuple

from gitsync.git.failures import Damaged

#: A part of a path that no file can have. git itself never writes one, but a tree made by hand may hold it.
_ODD_PART = re.compile(r"(^|/)\.{0,2}(/|\Z)")


class Kind(Enum):
    """What a tree's entry is."""

    FILE = "file"
    LINK = "symbolic link"
    DIRECTORY = "directory"
    SUBMODULE = "submodule"
    #: An entry whose name would lead elsewhere (``..``): git refuses to check it out.
    MISNAMED = "misnamed"


class Item(NamedTuple):
    """One line: the path from the root, what is there, its object's id, and for files and links its size in bytes."""

    path: str
    kind: Kind
    object_id: str
    size: int


_KINDS = {"040000": Kind.DIRECTORY, "120000": Kind.LINK, "160000": Kind.SUBMODULE}


def parse_listing(output: bytes | bytearray) -> list[Item]:
    """The lines of ``git ls-tree -r -t -l -z``, sorted by path.

    Raises: Damaged when an object that a tree names is not there.
    """
    items = []
    # A name that is no UTF-8 cannot be a manifest's; it must not stop the others either.
    for line in output.decode("utf-8", "backslashreplace").split("\0"):
        if not line:
            continue
        head, _, path = line.partition("\t")
        mode, _, object_id, size = head.split()
        if size == "BAD":  # git's word for an object of which it finds no size
            raise Damaged(f"object {object_id} is not there")
        kind = _KINDS.get(mode, Kind.FILE)
        if ("/." in path or "//" in path or path[0] in "./" or path[-1] == "/") and _ODD_PART.search(path):
            if kind is Kind.DIRECTORY:
                continue  # each of its files has the name, too
            kind = Kind.MISNAMED
        items.append(Item(path, kind, object_id, 0 if size == "-" else int(size)))
    items.sort(key=itemgetter(0))
    return items
