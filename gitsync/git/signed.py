"""Commits and annotated tags as what they are to a signature: the bytes that were signed, and the signature. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from gitsync.errors import NotVerified

#: The headers of a commit with its signature, by the length of its id.
_HEADERS = {40: b"gpgsig", 64: b"gpgsig-sha256"}
#: What git looks for at the beginning of a line of a tag's message (gpg-interface.c).
_ARMORS = (
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
)


@dataclass(frozen=True, slots=True)
class SignedObject:
    """A commit or tag. ``signature`` is "" for one that is not signed. Of a tag, ``target`` and ``target_type`` are
    what it leads to, ``name`` what it calls itself."""

    id: str
    payload: bytes = field(repr=False)
    signature: str = field(repr=False)
    target: str = ""
    target_type: str = ""
    name: str = ""


def is_object(object_id: str, kind: Literal["commit", "tag"], data: bytes) -> bool:
    """Whether these are the bytes that this id is made of: they come from a file, and are what a signature is about."""
    algorithm = hashlib.sha1 if len(object_id) == 40 else hashlib.sha256
    return algorithm(f"{kind} {len(data)}\0".encode() + data).hexdigest() == object_id


def signed_commit(commit_id: str, data: bytes) -> SignedObject:
    """A commit out of the ``data`` that Git keeps of it: what was signed is all of that but the headers with
    signatures. There may be one for each algorithm of ids; that of the commit's own counts.

    Raises: NotVerified for one with several signatures.
    """
    head, blank, message = data.partition(b"\n\n")
    kept: list[bytes] = []
    signatures: dict[bytes, list[bytes]] = {}
    inside: list[bytes] | None = None
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        if line.startswith(b" "):
            if inside is None:
                kept.append(line)
            else:
                inside.append(line[1:])
        elif name in _HEADERS.values():
            if name in signatures:
                raise NotVerified("it has several signatures")
            inside = signatures[name] = [value]
        else:
            inside = None
            kept.append(line)
    signature = b"\n".join(signatures.get(_HEADERS[len(commit_id)], []))
    return SignedObject(commit_id, b"\n".join(kept) + blank + message, signature.decode("ascii", "replace"))


def signed_tag(tag_id: str, data: bytes) -> SignedObject:
    """A tag carries its signature at the end of its message."""
    head = data.partition(b"\n\n")[0].decode("utf-8", "replace")
    fields = dict(line.partition(" ")[::2] for line in reversed(head.split("\n")))
    begin = _last_armor(data)
    return SignedObject(
        tag_id,
        data[:begin],
        data[begin:].decode("ascii", "replace"),
        fields.get("object", ""),
        fields.get("type", ""),
        fields.get("tag", ""),
    )


def _last_armor(data: bytes) -> int:
    begin = len(data)
    for armor in _ARMORS:
        found = data.rfind(b"\n" + armor)
        if found >= 0:
            begin = found + 1 if begin == len(data) else max(begin, found + 1)
    return begin
