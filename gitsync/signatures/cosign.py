"""Signatures of cosign over artifacts, with keys: simple signing, as cosign 2 makes them, and bundles of Sigstore.

A transparency log is not asked, as with Flux: the keys alone say whose a signature is.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from gitsync.errors import NotVerified
from gitsync.signatures.keys import CosignKeys
from gitsync.signatures.publickeys import PublicKey
from gitsync.signatures.statements import IN_TOTO, SHA256, at, bundle_of, check_statement, read_json

_MOST_SIGNATURES = 20
_NO_MATCH = "none of the keys that are trusted has made it"


def check_simple_signing(payload: bytes, signature: str, digest: str, keys: CosignKeys) -> None:
    """Whether this is a claim, by one of the keys, about the artifact with this digest. Raises: NotVerified."""
    made = _base64(signature)
    if not any(_verifies(key, made, payload) for key in keys.keys):
        raise NotVerified(_NO_MATCH)
    found = at(read_json(payload), "critical", "image", "docker-manifest-digest")
    if found != digest:
        raise NotVerified("it is of another artifact")


def check_bundle(data: bytes, digest: str, keys: CosignKeys) -> None:
    """The same of a bundle of Sigstore, with an envelope (DSSE) or a signature of the manifest. Raises: NotVerified."""
    bundle = bundle_of(data, digest)
    if (envelope := at(bundle, "dsseEnvelope")) is not None:
        _check_envelope(envelope, digest, keys)
    elif (message := at(bundle, "messageSignature")) is not None:
        _check_message(message, digest, keys)
    else:
        raise NotVerified("it holds no signature")


def _check_envelope(envelope: Any, digest: str, keys: CosignKeys) -> None:
    kind, payload = at(envelope, "payloadType"), _base64(at(envelope, "payload"))
    signatures = at(envelope, "signatures")
    if kind != IN_TOTO or not isinstance(signatures, list):
        raise NotVerified("its envelope cannot be read")
    signed = b" ".join((b"DSSEv1", b"%d" % len(kind), kind.encode(), b"%d" % len(payload), payload))
    made = [_base64(at(item, "sig")) for item in signatures[:_MOST_SIGNATURES]]
    if not any(_verifies(key, item, signed) for key in keys.keys for item in made):
        raise NotVerified(_NO_MATCH)
    check_statement(payload, digest)


def _check_message(message: Any, digest: str, keys: CosignKeys) -> None:
    made, hashed = _base64(at(message, "signature")), bytes.fromhex(digest.removeprefix(SHA256))
    if not any(_verifies_hash(key, made, hashed) for key in keys.keys):
        raise NotVerified(_NO_MATCH)


def _verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
    if isinstance(key, ed25519.Ed25519PublicKey):
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True
    return any(_verifies_digest(key, signature, _hash(message, kind), kind) for kind in _hashes(key))


def _verifies_hash(key: PublicKey, signature: bytes, sha256: bytes) -> bool:
    """Of something of which only the SHA-256 is at hand."""
    return not isinstance(key, ed25519.Ed25519PublicKey) and _verifies_digest(key, signature, sha256, hashes.SHA256())


def _verifies_digest(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, signature: bytes, digest: bytes, kind: hashes.HashAlgorithm
) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, padding.PKCS1v15(), Prehashed(kind))
        else:
            key.verify(signature, digest, ec.ECDSA(Prehashed(kind)))
    except (InvalidSignature, ValueError):
        return False
    return True


def _hashes(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> Sequence[hashes.HashAlgorithm]:
    """SHA-256 by cosign's rule; with larger curves also the one that Sigstore has for them."""
    size = key.key_size if isinstance(key, ec.EllipticCurvePublicKey) else 0
    larger: Mapping[int, hashes.HashAlgorithm] = {384: hashes.SHA384(), 521: hashes.SHA512()}
    return [hashes.SHA256(), *([larger[size]] if size in larger else [])]


def _hash(message: bytes, kind: hashes.HashAlgorithm) -> bytes:
    made = hashes.Hash(kind)
    made.update(message)
    return made.finalize()


def _base64(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise NotVerified("its signature cannot be read") from None
