"""Signatures of cosign without keys: what counts, and that everything else does not. Nobody is asked."""

from __future__ import annotations

import copy
import json
import socket
import sys
from typing import Any

import pytest
import sigstore.verify  # what is refused is not to be so for want of the library

from gitsync.errors import NotVerified
from gitsync.signatures import Identity, Keyless, check_keyless
from tests.signatures.ownsigstore import ISSUER, SUBJECT, Sigstore

DIGEST = f"sha256:{'ab' * 32}"
US = Identity("^https://token.actions.githubusercontent.com$", r"^https://github.com/acme/.*@refs/tags/v\d+$")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


assert sigstore.verify


@pytest.fixture(scope="module")
def own() -> Sigstore:
    return Sigstore()


def check(own: Sigstore, bundle: Any, *identities: Identity, digest: str = DIGEST, root: bytes = b"") -> None:
    data = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    check_keyless(data, digest, Keyless.of(identities or (US,), root or own.trusted_root()))


def refused(own: Sigstore, bundle: Any, *identities: Identity, **more: Any) -> str:
    with pytest.raises(NotVerified) as caught:
        check(own, bundle, *identities, **more)
    return caught.value.message


def test_a_signature_counts_that_is_by_one_of_those_who_are_named(own: Sigstore) -> None:
    bundle = own.bundle(DIGEST)
    check(own, bundle)
    check(own, bundle, Identity("^https://accounts.google.com$", "^ada@acme.example$"), US)
    check(own, bundle, Identity("githubusercontent", "acme/app"))


def test_by_anybody_else_it_does_not_and_who_it_is_is_said(own: Sigstore) -> None:
    other = SUBJECT.replace("acme", "evil")
    assert refused(own, own.bundle(DIGEST, subject=other)) == (
        f"it is by {other}, as {ISSUER} says, whom matchOIDCIdentity does not name"
    )
    assert "as https://issuer.example says" in refused(own, own.bundle(DIGEST, issuer="https://issuer.example"))
    # The issuer of one and the subject of the other are nobody.
    mixed = (Identity(US.issuer, "^nobody$"), Identity("^https://issuer.example$", US.subject))
    assert "does not name" in refused(own, own.bundle(DIGEST), *mixed)


def test_of_another_artifact_or_with_another_statement_it_is_none(own: Sigstore) -> None:
    assert refused(own, own.bundle(f"sha256:{'cd' * 32}")) == "it is of another artifact"
    attested = own.bundle(DIGEST, says="https://slsa.dev/provenance/v1")
    assert refused(own, attested) == "it states something else of an artifact than that it is signed"
    assert refused(own, own.bundle(DIGEST), digest=f"sha512:{'ab' * 64}") == "the artifact's digest is not SHA-256"


def test_by_another_root_or_after_its_time_it_is_none(own: Sigstore) -> None:
    assert refused(own, Sigstore().bundle(DIGEST))
    assert refused(own, own.bundle(DIGEST, late=True))
    for root in (b"", b"{}", b"no JSON"):
        assert "the trusted root cannot be read" in refused(own, own.bundle(DIGEST), root=root or b" ")


def _without(*path: str | int) -> Any:
    def change(bundle: Any) -> None:
        for name in path[:-1]:
            bundle = bundle[name]
        del bundle[path[-1]]

    return change


def _with(value: Any, *path: str | int) -> Any:
    def change(bundle: Any) -> None:
        for name in path[:-1]:
            bundle = bundle[name]
        bundle[path[-1]] = value(bundle[path[-1]]) if callable(value) else value

    return change


ENTRY = ("verificationMaterial", "tlogEntries", 0)


@pytest.mark.parametrize(
    "change",
    [
        _without("dsseEnvelope"),
        _without("verificationMaterial"),
        _without("verificationMaterial", "certificate"),
        _without("verificationMaterial", "tlogEntries"),
        _with([], "verificationMaterial", "tlogEntries"),
        _with(lambda entries: entries * 2, "verificationMaterial", "tlogEntries"),
        _without(*ENTRY, "inclusionPromise"),
        _without(*ENTRY, "inclusionProof"),
        _without(*ENTRY, "inclusionProof", "checkpoint"),
        _with("1", *ENTRY, "integratedTime"),
        _with("1", *ENTRY, "logIndex"),
        _with("e30=", *ENTRY, "canonicalizedBody"),
        _with({"kind": "intoto", "version": "0.0.2"}, *ENTRY, "kindVersion"),
        _with("e30=", "dsseEnvelope", "payload"),
        _with("text/plain", "dsseEnvelope", "payloadType"),
        _with([], "dsseEnvelope", "signatures"),
        _with([{"sig": "AAAA"}], "dsseEnvelope", "signatures"),
        _with("AAAA", "verificationMaterial", "certificate", "rawBytes"),
        _with("application/vnd.dev.sigstore.bundle.v9+json", "mediaType"),
        _with("text/plain", "mediaType"),
    ],
)
def test_what_lacks_a_proof_or_has_another_is_none(own: Sigstore, change: Any) -> None:
    bundle = copy.deepcopy(own.bundle(DIGEST))
    change(bundle)
    assert refused(own, bundle)


def test_the_proofs_of_another_signature_do_not_count(own: Sigstore) -> None:
    """A certificate of theirs with an entry that the log has for somebody else (CVE-2022-36056)."""
    one, other = own.bundle(DIGEST), own.bundle(DIGEST)
    for part in (("verificationMaterial", "tlogEntries"), ("verificationMaterial", "certificate"), ("dsseEnvelope",)):
        mixed = copy.deepcopy(one)
        _with(_at(other, *part), *part)(mixed)
        assert refused(own, mixed)


def _at(bundle: Any, *path: str) -> Any:
    for name in path:
        bundle = bundle[name]
    return bundle


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"mediaType": 1}', b"\xff"])
def test_bytes_of_any_kind_are_survived(own: Sigstore, data: bytes) -> None:
    assert refused(own, data)


@pytest.mark.parametrize("pattern", ["(", "[", "a" * 2000])
def test_a_pattern_that_is_none_lets_nobody_in(own: Sigstore, pattern: str) -> None:
    for identity in (Identity(pattern, ".*"), Identity(".*", pattern)):
        assert "no regular expression" in refused(own, own.bundle(DIGEST), identity)


def test_without_the_library_nothing_is_verified(own: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sigstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sigstore", None)
    assert "need the package sigstore" in refused(own, own.bundle(DIGEST))
