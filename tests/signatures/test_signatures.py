"""What real gpg and ssh-keygen have signed through git, and what must not count as signed."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from gitsync.errors import NotVerified
from gitsync.git.signed import SignedObject, is_object, signed_commit, signed_tag
from gitsync.signatures import KeysUnusable, TrustedKeys, signer_of

DATA = Path(__file__).with_name("data")
ANN, SSH = "ann.asc", "ed25519.sshpub"


def keys(*names: str) -> TrustedKeys:
    return TrustedKeys.of_secret({name: (DATA / name).read_bytes() for name in names})


def id_of(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


def commit(name: str) -> SignedObject:
    data = (DATA / f"commit.{name}").read_bytes()
    return signed_commit(id_of("commit", data), data)


def tag(name: str) -> SignedObject:
    data = (DATA / f"tag.{name}").read_bytes()
    return signed_tag(id_of("tag", data), data)


def check(signed: SignedObject, trusted: TrustedKeys) -> str:
    return signer_of(signed.signature, signed.payload, trusted)


@pytest.mark.parametrize("name", ["ann", "rsa", "sub"])
def test_a_commit_signed_with_a_pgp_key_is_of_that_key(name: str) -> None:
    others = keys("exp.asc", f"{name}.asc", SSH)
    assert check(commit(name), others) == keys(f"{name}.asc").names[0]


@pytest.mark.parametrize("name", ["ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa3072"])
def test_a_commit_signed_with_an_ssh_key_is_of_that_key(name: str) -> None:
    text = (DATA / f"{name}.sshpub").read_text().split()[1]
    digest = hashlib.sha256(base64.b64decode(text)).digest()
    fingerprint = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    assert check(commit(name), keys(ANN, f"{name}.sshpub")) == fingerprint


def test_tags_carry_their_signature_at_the_end() -> None:
    assert check(tag("ann"), keys(ANN)) == keys(ANN).names[0]
    assert check(tag("ed25519"), keys(SSH)) == keys(SSH).names[0]
    assert (tag("ann").name, tag("ann").target_type, len(tag("ann").target)) == ("v1.0.0", "commit", 40)


def test_a_commit_of_a_sha256_repository_has_its_signature_elsewhere() -> None:
    data = (DATA / "commit.sha256").read_bytes()
    signed = signed_commit(hashlib.sha256(f"commit {len(data)}\0".encode() + data).hexdigest(), data)
    assert check(signed, keys(ANN)) == keys(ANN).names[0]
    assert not signed_commit("0" * 40, data).signature


@pytest.mark.parametrize(
    ("signed", "trusted", "why"),
    [
        (commit("unsigned"), keys(ANN, SSH), "it is not signed"),
        (tag("unsigned"), keys(ANN, SSH), "it is not signed"),
        (commit("ann"), keys(), "there are no PGP keys that are trusted"),
        (commit("ann"), keys(SSH), "there are no PGP keys that are trusted"),
        (commit("ed25519"), keys(ANN), "there are no SSH keys that are trusted"),
        (commit("ann"), keys("rsa.asc"), "which is none of those that are trusted"),
        (commit("ed25519"), keys("ecdsa256.sshpub"), "which is none of those that are trusted"),
        (commit("exp"), keys("exp.asc"), "of Exp <exp@git.example>, which has expired on 2020-12-31"),
        (commit("old"), keys("old.asc"), "which is a subkey that has expired on 2020-12-31"),
        (commit("rev"), keys("rev.asc"), "of Rev <rev@git.example>, which is revoked"),
        (commit("namespace"), keys(SSH), "is for the namespace 'file', not 'git'"),
        (commit("rsa1024"), keys("rsa1024.sshpub"), "there are no SSH keys that are trusted"),
    ],
)
def test_what_must_not_count_does_not(signed: SignedObject, trusted: TrustedKeys, why: str) -> None:
    with pytest.raises(NotVerified) as raised:
        check(signed, trusted)
    assert why in raised.value.message


def test_a_key_counted_before_it_was_revoked() -> None:
    assert check(commit("rev"), keys("rev-before.asc"))


@pytest.mark.parametrize("name", ["ann", "rsa", "ed25519", "ecdsa256", "rsa3072"])
def test_a_signature_over_other_bytes_is_none(name: str) -> None:
    signed, trusted = commit(name), keys(f"{name}.asc" if name in ("ann", "rsa") else f"{name}.sshpub")
    for payload in (signed.payload + b"\n", signed.payload.replace(b"Grace", b"Grave"), commit("unsigned").payload):
        with pytest.raises(NotVerified, match="is not one over these bytes"):
            signer_of(signed.signature, payload, trusted)


def test_a_signature_that_was_tampered_with_is_none() -> None:
    for name, trusted in (("ann", keys(ANN)), ("ed25519", keys(SSH))):
        signed = commit(name)
        lines = signed.signature.split("\n")
        for place in range(1, len(lines) - 1):
            broken = [*lines[:place], lines[place][::-1], *lines[place + 1 :]]
            if len(lines[place]) > 5:  # the armor's checksum says nothing
                with pytest.raises(NotVerified):
                    signer_of("\n".join(broken), signed.payload, trusted)


@pytest.mark.parametrize("text", ["x", "-----BEGIN PGP MESSAGE-----\n", "-----BEGIN SIGNED MESSAGE-----\n"])
def test_other_kinds_of_signatures_are_named(text: str) -> None:
    with pytest.raises(NotVerified, match="not supported"):
        signer_of(text, b"payload", keys(ANN, SSH))


def test_of_two_signatures_of_a_commit_none_counts() -> None:
    data = (DATA / "commit.ann").read_bytes()
    header = data[data.index(b"gpgsig") : data.index(b"\n\n")]
    twice = data.replace(header, header + b"\n" + header)
    with pytest.raises(NotVerified, match="several signatures"):
        signed_commit("0" * 40, twice)


def test_what_looks_like_a_signature_in_a_message_is_the_message() -> None:
    data = (DATA / "commit.unsigned").read_bytes() + b"\n" + (DATA / "commit.ann").read_bytes()
    assert not signed_commit("0" * 40, data).signature


def test_bytes_have_to_be_those_of_the_id() -> None:
    data = (DATA / "commit.ann").read_bytes()
    assert is_object(id_of("commit", data), "commit", data)
    assert not is_object(id_of("commit", data), "commit", data + b" ")
    assert not is_object(id_of("commit", data), "tag", data)


def test_a_secret_may_hold_keys_that_cannot_be_used_beside_others() -> None:
    found = TrustedKeys.of_secret({"a.asc": b"x", "b.sshpub": b"x", "c.pub": (DATA / ANN).read_bytes()})
    assert check(commit("ann"), found)
    assert found.unusable == (
        "a.asc is no PGP public key",
        "b.sshpub line 1 holds no SSH public key of a kind that can sign",
    )


def test_files_of_keys_are_told_apart_by_what_they_hold() -> None:
    names = ("ann.gpg", "rsa.asc", "ed25519.sshpub")
    found = TrustedKeys.of_files({f"{number}": (DATA / name).read_bytes() for number, name in enumerate(names)})
    assert found.names == keys("ann.asc", "rsa.asc", "ed25519.sshpub").names


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no SSH public key"),
        ("# nothing\n", "holds no SSH public key"),
        ("ssh-ed25519 AAAA ann", "line 1 holds no SSH public key that can be used"),
        ("KEY\nssh-dss AAAA ann", "line 2 holds no SSH public key of a kind that can sign"),
        ("cert-authority KEY", "line 1 has the option cert-authority, which is not supported"),
        ('* namespaces="git",valid-before="20200101" KEY', "line 1 has the option valid-before"),
        ('* namespaces="file" KEY', "holds no SSH public key"),
        ("RSA", "line 1 holds an RSA key of fewer than 2048 bits"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "is no PGP public key"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_is_an_error(text: str, why: str) -> None:
    text = text.replace("KEY", (DATA / SSH).read_text().strip()).replace("RSA", (DATA / "rsa1024.sshpub").read_text())
    with pytest.raises(KeysUnusable, match=f"trusted {why}"):
        TrustedKeys.of_files({"trusted": text.encode()})


@pytest.mark.parametrize("line", ["KEY", "ann@git.example KEY", '* namespaces="file,git" KEY', 'from="ssh-rsa x" KEY'])
def test_ssh_keys_come_as_authorized_keys_or_allowed_signers(line: str) -> None:
    text = line.replace("KEY", (DATA / SSH).read_text().strip())
    assert check(commit("ed25519"), TrustedKeys.of_files({"trusted": text.encode()}))
