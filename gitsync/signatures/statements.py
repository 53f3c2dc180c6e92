"""What a signature says of an artifact, as cosign 3 signs it: a statement in an envelope (in-toto, DSSE). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from gitsync.errors import NotVerified

SHA256: Final = "sha256:"
IN_TOTO: Final = "application/vnd.in-toto+json"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle"
_STATEMENTS = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
#: What is said by a signature; by the same key there may be statements that say something else of an artifact.
_SIGNED = "https://sigstore.dev/cosign/sign/v1"


def bundle_of(data: bytes, digest: str) -> Any:
    """A bundle of Sigstore about an artifact with this digest. Raises: NotVerified."""
    bundle = read_json(data)
    if not str(at(bundle, "mediaType")).startswith(BUNDLE):
        raise NotVerified("it is no bundle of Sigstore")
    if not digest.startswith(SHA256):
        raise NotVerified("the artifact's digest is not SHA-256")
    return bundle


def check_statement(payload: bytes, digest: str) -> None:
    """Whether this says that the artifact with this digest is signed. Raises: NotVerified."""
    statement = read_json(payload)
    if at(statement, "_type") not in _STATEMENTS or at(statement, "predicateType") != _SIGNED:
        raise NotVerified("it states something else of an artifact than that it is signed")
    if digest.removeprefix(SHA256) not in _subjects(at(statement, "subject")):
        raise NotVerified("it is of another artifact")


def read_json(data: bytes) -> Any:
    """JSON that somebody has signed, of any shape. Raises: NotVerified for what is none, or is nested too deeply."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise NotVerified("it is no JSON") from None


def at(data: Any, *path: str) -> Any:
    """The value at a path of keys in nested maps; None when there is none."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _subjects(found: Any) -> Iterator[str]:
    for item in found if isinstance(found, list) else ():
        sha256 = at(item, "digest", "sha256")
        if isinstance(sha256, str):
            yield sha256
