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


_KINDS = {b"040000": Kind.DIRECTORY, b"120000": Kind.LINK, b"160000": Kind.SUBMODULE}


def parse_listing(output: bytes | bytearray) -> list[Item]:
    """The lines of ``git ls-tree -r -t -l -z``, sorted by path.

    Raises: Damaged when an object that a tree names is not there.
    """
    items = []
    for line in output.split(b"\0"):
        if not line:
            continue
        head, _, name = line.partition(b"\t")
        mode, _, object_id, size = head.split()
        # A name that is no UTF-8 cannot be a manifest's; it must not stop the others either.
        path = name.decode("utf-8", "backslashreplace")
        if size == b"BAD":  # git's word for an object of which it finds no size
            raise Damaged(f"object {object_id.decode()} is not there")
        kind = _KINDS.get(bytes(mode), Kind.FILE)
        if _ODD_PART.search(path):
            if kind is Kind.DIRECTORY:
                continue  # each of its files has the name, too
            kind = Kind.MISNAMED
        items.append(Item(path, kind, object_id.decode(), 0 if size == b"-" else int(size)))
    items.sort(key=itemgetter(0))
    return items
