"""Commits and tags signed by keys that a test makes: by libraries, for where there is neither gpg nor ssh-keygen."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import pysequoia
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.git.git_world import Repository


@dataclass(frozen=True)
class Signer:
    """Signs bytes for git. ``public`` is the key that has to be trusted, ``name`` what it is called."""

    sign: Callable[[bytes], str]
    public: str
    name: str


def pgp_signer(name: str = "Ann <ann@git.example>") -> Signer:
    """A PGP key; what signs is a subkey."""
    tsk = pysequoia.Tsk.generate(user_id=name)
    cert = tsk.extract_certificate()
    signer = tsk.signer()

    def sign(data: bytes) -> str:
        return pysequoia.sign(signer, data, mode=pysequoia.SignatureMode.DETACHED).decode().strip()

    return Signer(sign, str(cert), cert.fingerprint[-16:].upper())


def ssh_signer(namespace: str = "git") -> Signer:
    """An SSH key."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    blob = base64.b64decode(public.split()[1])

    def sign(data: bytes) -> str:
        said = b"SSHSIG" + strings(namespace.encode(), b"", b"sha512", hashlib.sha512(data).digest())
        signature = strings(b"ssh-ed25519", key.sign(said))
        whole = b"SSHSIG\0\0\0\1" + strings(blob, namespace.encode(), b"", b"sha512", signature)
        return f"-----BEGIN SSH SIGNATURE-----\n{base64.encodebytes(whole).decode()}-----END SSH SIGNATURE-----"

    fingerprint = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return Signer(sign, f"{public} ann@git.example\n", f"SHA256:{fingerprint}")


def strings(*parts: bytes) -> bytes:
    """In SSH's wire format."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def sign_head(repository: Repository, signer: Signer, over: bytes | None = None) -> str:
    """Replace the last commit by the same with a signature (over other bytes when they are given), and give its id."""
    plain = repository.git("cat-file", "commit", "HEAD").encode() + b"\n"
    head, _, message = plain.partition(b"\n\n")
    signature = signer.sign(plain if over is None else over).replace("\n", "\n ").encode()
    signed = head + b"\ngpgsig " + signature + b"\n\n" + message
    commit = repository.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=signed)
    repository.git("update-ref", "HEAD", commit)
    return commit


def sign_tag(repository: Repository, signer: Signer, name: str, called: str = "", target: str = "HEAD") -> str:
    """Make a tag with a signature, which may call itself otherwise, and give its id."""
    commit = repository.git("rev-parse", target)
    lines = (
        f"object {commit}",
        "type commit",
        f"tag {called or name}",
        "tagger Ada <ada@git.example> 1700000000 +0000",
    )
    text = "\n".join([*lines, "", "released", ""])
    signed = text + signer.sign(text.encode()) + "\n"
    tag = repository.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=signed.encode())
    repository.git("update-ref", f"refs/tags/{name}", tag)
    return tag
