"""SSH signatures (OpenSSH's PROTOCOL.sshsig), as ``git commit -S`` makes them with ``gpg.format=ssh``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gitsync.errors import NotVerified
from gitsync.text import listed, shorten

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
#: What git signs for: a signature that was made for something else, as a file or a login, is none of a commit.
_NAMESPACE = "git"
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_ECDSA: dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "nistp256": (ec.SECP256R1(), hashes.SHA256()),
    "nistp384": (ec.SECP384R1(), hashes.SHA384()),
    "nistp521": (ec.SECP521R1(), hashes.SHA512()),
}
#: SHA-1 (``ssh-rsa``) is not among them: OpenSSH's own rule for these signatures.
_RSA: dict[str, hashes.HashAlgorithm] = {"rsa-sha2-256": hashes.SHA256(), "rsa-sha2-512": hashes.SHA512()}
_SMALLEST_RSA = 2048
_SK = "sk-"
_OPENSSH = "@openssh.com"
#: Of a key in hardware: somebody has touched it.
_PRESENT = 1
_TYPE = re.compile(
    r"(?:^|(?<=\s))(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)|sk-[a-z0-9-]+@openssh\.com)(?=\s)"
)
_QUOTED = re.compile(r'"[^"]*"')
_NAMESPACES = re.compile(r'(?:^|[\s,])namespaces="([^"]*)"', re.IGNORECASE)
#: What narrows down when or for whom a key counts, and is not looked at.
_UNREAD = re.compile(r"(?:^|[\s,])(cert-authority|valid-after|valid-before|expiry-time)\b", re.IGNORECASE)
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class SshKey:
    """A public key: its wire form, of which it is made."""

    blob: bytes = field(repr=False)
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


def read_keys(text: str) -> list[SshKey]:
    """The keys of ``authorized_keys``, ``allowed_signers`` or ``.pub`` files. Those that are for another namespace than
    git's are left out.

    Raises: ValueError, which names the line and no content.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                keys += _read_key(line.strip())
            except (ValueError, UnsupportedAlgorithm) as error:
                raise ValueError(f"line {number} {_said(error)}") from None
    if not keys:
        raise ValueError("holds no SSH public key")
    return keys


def _said(error: Exception) -> str:
    return error.args[0] if isinstance(error, _Unusable) else "holds no SSH public key that can be used"


class _Unusable(ValueError):
    """In words of our own, which name no content."""


def _read_key(line: str) -> list[SshKey]:
    # Options may hold anything between quotes, the name of a type too.
    found = _TYPE.search(_QUOTED.sub(lambda it: '"' + "." * (len(it[0]) - 2) + '"', line))
    if found is None:
        raise _Unusable("holds no SSH public key of a kind that can sign")
    options, (encoded, _, comment) = line[: found.start()], line[found.end() :].strip().partition(" ")
    if unread := _UNREAD.search(_QUOTED.sub('""', options)):
        raise _Unusable(f"has the option {unread[1].lower()}, which is not supported")
    key = SshKey(base64.b64decode(encoded, validate=True), shorten(comment.strip(), _LONGEST))
    reader = _Reader(key.blob)
    if reader.text() != found[0]:
        raise _Unusable("says another type of key than the key itself")
    _public(found[0], reader)
    namespaces = _NAMESPACES.search(options)
    is_for_git = namespaces is None or _NAMESPACE in [item.strip() for item in namespaces[1].split(",")]
    return [key] if is_for_git else []


def ssh_signer(armored: str, payload: bytes, keys: Sequence[SshKey]) -> str:
    """The fingerprint of the key that has signed ``payload``, in git's namespace. Raises: NotVerified."""
    try:
        signature = _Signature.read(armored)
    except (ValueError, UnsupportedAlgorithm):
        raise NotVerified("its SSH signature cannot be read") from None
    signer = signature.key.fingerprint
    if signature.namespace != _NAMESPACE:
        given = shorten(signature.namespace, _LONGEST)
        raise NotVerified(f"its SSH signature is for the namespace {given!r}, not 'git'", signer=signer)
    if signature.key.blob not in {key.blob for key in keys}:
        none = f"which is none of those that are trusted ({listed([key.fingerprint for key in keys], 5)})"
        raise NotVerified(f"it is signed with the SSH key {signer}, {none}", signer=signer)
    try:
        signature.check(payload)
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        why = f"its signature with the SSH key {signer} is not one over these bytes"
        raise NotVerified(why, signer=signer) from None
    return signer


class _Reader:
    """The fields of SSH's wire format, one after the other. Raises: ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, size: int) -> bytes:
        if size > len(self._data):
            raise ValueError("cut short")
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def number(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        return self.string().decode()

    def integer(self) -> int:
        return int.from_bytes(self.string(), "big")

    def end(self) -> None:
        if self._data:
            raise ValueError("more than there should be")


@dataclass(frozen=True, slots=True)
class _Signature:
    key: SshKey
    namespace: str
    reserved: bytes
    hash_name: str
    signature: bytes

    @classmethod
    def read(cls, armored: str) -> _Signature:
        text = armored.strip()
        if not text.startswith(_BEGIN) or not text.endswith(_END):
            raise ValueError("no armor")
        try:
            reader = _Reader(base64.b64decode("".join(text[len(_BEGIN) : -len(_END)].split()), validate=True))
        except binascii.Error:
            raise ValueError("no base64") from None
        if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != 1:
            raise ValueError("no signature of version 1")
        key, namespace, reserved = reader.string(), reader.text(), reader.string()
        found = cls(SshKey(key), namespace, reserved, reader.text(), reader.string())
        reader.end()
        return found

    def check(self, payload: bytes) -> None:
        """Raises: ValueError, InvalidSignature."""
        if self.hash_name not in _HASHES:
            raise ValueError("a hash that is not allowed")
        parts = (
            self.namespace.encode(),
            self.reserved,
            self.hash_name.encode(),
            _HASHES[self.hash_name](payload).digest(),
        )
        message = _MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        key = _Reader(self.key.blob)
        kind, signature = key.text(), _Reader(self.signature)
        public, application = _public(kind, key)
        algorithm, value = signature.text(), signature.string()
        if kind.startswith(_SK):
            flags, counter = signature.take(1), signature.take(4)
            if not flags[0] & _PRESENT:
                raise ValueError("the security key says that nobody touched it")
            message = hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(message).digest()
        signature.end()
        if algorithm != kind and not (kind == "ssh-rsa" and algorithm in _RSA):
            raise ValueError("an algorithm that is not that of the key")
        _check(public, algorithm, value, message)


Public = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def _public(kind: str, reader: _Reader) -> tuple[Public, bytes]:
    """The key after its type, and the application that a key in hardware is for. Raises: ValueError."""
    key: Public
    plain = kind.removeprefix(_SK).removesuffix(_OPENSSH) if kind.startswith(_SK) else kind
    if plain == "ssh-ed25519":
        key = ed25519.Ed25519PublicKey.from_public_bytes(reader.string())
    elif plain == "ssh-rsa" and kind == plain:
        exponent, modulus = reader.integer(), reader.integer()
        if modulus.bit_length() < _SMALLEST_RSA:
            raise _Unusable(f"holds an RSA key of fewer than {_SMALLEST_RSA} bits")
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    else:
        curve = reader.text()
        if plain != f"ecdsa-sha2-{curve}" or curve not in _ECDSA:
            raise ValueError("a type of key that is not known")
        key = ec.EllipticCurvePublicKey.from_encoded_point(_ECDSA[curve][0], reader.string())
    application = reader.string() if kind.startswith(_SK) else b""
    reader.end()
    return key, application


def _check(key: Public, algorithm: str, value: bytes, message: bytes) -> None:
    """Raises: InvalidSignature, ValueError."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(value, message)
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(value, message, padding.PKCS1v15(), _RSA[algorithm])
    else:
        reader = _Reader(value)
        encoded = encode_dss_signature(reader.integer(), reader.integer())
        reader.end()
        curve = algorithm.removesuffix(_OPENSSH).rpartition("-")[2]
        key.verify(encoded, message, ec.ECDSA(_ECDSA[curve][1]))
