"""What the real cosign has signed, and what must not count as signed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from gitsync.errors import NotVerified
from gitsync.signatures import CosignKeys
from gitsync.signatures.cosign import check_bundle, check_simple_signing

DATA = Path(__file__).with_name("data") / "cosign"
DIGEST = "sha256:" + hashlib.sha256((DATA / "artifact.json").read_bytes()).hexdigest()
OTHER = "sha256:" + "0" * 64
KINDS = ("p256", "p384", "rsa")


def keys(*names: str) -> CosignKeys:
    return CosignKeys.of_secret({f"{name}.pub": (DATA / f"{name}.pub").read_bytes() for name in names})


def simple(name: str) -> tuple[bytes, str]:
    found = json.loads((DATA / f"{name}.simple.json").read_text())
    return found["payload"].encode(), found["annotations"]["dev.cosignproject.cosign/signature"]


def bundle(name: str) -> bytes:
    return (DATA / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", KINDS)
def test_what_cosign_has_signed_is_signed(name: str) -> None:
    trusted = keys(*KINDS)
    payload, signature = simple(name)
    check_simple_signing(payload, signature, DIGEST, trusted)
    check_bundle(bundle(f"{name}.bundle"), DIGEST, trusted)


def test_ed25519_over_a_hash_as_cosign_makes_it_is_not_known_and_does_not_count() -> None:
    payload, signature = simple("ed")
    with pytest.raises(NotVerified, match="none of the keys"):
        check_simple_signing(payload, signature, DIGEST, keys("ed"))
    with pytest.raises(NotVerified, match="none of the keys"):
        check_bundle(bundle("ed.bundle"), DIGEST, keys("ed"))


def test_a_signature_of_the_manifest_as_a_file_counts_too() -> None:
    check_bundle(bundle("p256.message"), DIGEST, keys("p256"))
    with pytest.raises(NotVerified, match="none of the keys"):
        check_bundle(bundle("p256.message"), OTHER, keys("p256"))


@pytest.mark.parametrize("name", KINDS)
def test_by_another_key_or_of_another_artifact_it_is_none(name: str) -> None:
    strangers = keys(*(other for other in KINDS if other != name))
    payload, signature = simple(name)
    for trusted in (strangers, CosignKeys()):
        with pytest.raises(NotVerified, match="none of the keys"):
            check_simple_signing(payload, signature, DIGEST, trusted)
        with pytest.raises(NotVerified, match="none of the keys"):
            check_bundle(bundle(f"{name}.bundle"), DIGEST, trusted)
    with pytest.raises(NotVerified, match="another artifact"):
        check_simple_signing(payload, signature, OTHER, keys(name))
    with pytest.raises(NotVerified, match="another artifact"):
        check_bundle(bundle(f"{name}.bundle"), OTHER, keys(name))


def test_an_attestation_is_no_signature() -> None:
    with pytest.raises(NotVerified, match="states something else"):
        check_bundle(bundle("p256.attestation"), DIGEST, keys("p256"))


@pytest.mark.parametrize("name", ["p256.bundle", "p256.message"])
def test_a_bundle_that_was_tampered_with_is_none(name: str) -> None:
    whole = json.loads(bundle(name))
    inner = whole.get("dsseEnvelope") or whole["messageSignature"]
    place = inner["signatures"][0] if "signatures" in inner else inner
    field = "sig" if "sig" in place else "signature"
    place[field] = place[field][::-1]
    with pytest.raises(NotVerified):
        check_bundle(json.dumps(whole).encode(), DIGEST, keys("p256"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {}}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {"payload": "e30=", '
        b'"payloadType": "application/vnd.in-toto+json", "signatures": [{}]}}',
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "messageSignature": "x"}',
    ],
)
def test_what_is_no_bundle_is_no_signature(data: bytes) -> None:
    with pytest.raises(NotVerified):
        check_bundle(data, DIGEST, keys(*KINDS))
    with pytest.raises(NotVerified):
        check_simple_signing(data, "", DIGEST, keys(*KINDS))


def test_keys_that_cannot_be_used_are_named_and_others_than_pub_are_not_looked_at() -> None:
    found = CosignKeys.of_secret({"a.pub": b"x", "cosign.key": b"x", "b.pub": (DATA / "ed.pub").read_bytes()})
    assert (len(found.keys), found.unusable) == (1, ("a.pub is no public key in PEM that can be used",))
