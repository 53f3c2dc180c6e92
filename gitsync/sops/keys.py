"""The keys of a Kustomization: a Secret's entries, named as Flux has them (Kustomization v1, "Decryption"), as what one
run of sops is given. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gitsync.errors import YamlError
from gitsync.kubeyaml import load

#: The most that one variable of an environment may hold on Linux, and a little less.
_LONGEST: Final = 120_000
_AGE: Final = re.compile(r"^\s*(AGE-[A-Z0-9-]+1[A-Z0-9]+)\s*$", re.MULTILINE)
_ARMOR: Final = re.compile(
    rb"-----BEGIN PGP (?:PRIVATE|SECRET) KEY BLOCK-----\r?\n(.*?)-----END PGP (?:PRIVATE|SECRET) KEY BLOCK-----",
    re.DOTALL,
)
_ENDS_OF_HEADERS: Final = re.compile(rb"\r?\n[ \t]*\r?\n")
_AWS: Final = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
}
_AZURE: Final = {
    "tenantId": "AZURE_TENANT_ID",
    "clientId": "AZURE_CLIENT_ID",
    "clientSecret": "AZURE_CLIENT_SECRET",
    "clientCertificatePassword": "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "authorityHost": "AZURE_AUTHORITY_HOST",
    # As ``az ad sp create-for-rbac`` prints them.
    "tenant": "AZURE_TENANT_ID",
    "appId": "AZURE_CLIENT_ID",
    "password": "AZURE_CLIENT_SECRET",
}
#: Credentials of Google that hold a key of their own. Others would have sops read files, ask the metadata server or
#: run programs, as the agent.
_GOOGLE: Final = ("service_account", "authorized_user")


class BadKey(Exception):
    """An entry of the Secret that cannot be used. Quotes none of it."""

    def __init__(self, entry: str, message: str) -> None:
        super().__init__(f"{entry}: {message}")
        self.entry = entry


@dataclass(frozen=True)
class Keys:
    """What sops is given for each kind of key as SOPS calls it: environment variables, and files by their names.
    ``secret`` is the Secret as messages name it, "" for none at all."""

    secret: str = ""
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    files: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)
    #: Another one when any of them is another; nobody can tell a key from it, nor guess it without the keys.
    digest: str = ""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of keys that are there."""
        return frozenset(self.environment)

    @staticmethod
    def of(secret: str, data: Mapping[str, bytes]) -> Keys:
        """Those of a Secret's entries. Others than Flux knows are passed over. Raises: BadKey."""
        environment: dict[str, Mapping[str, str]] = {}
        files: dict[str, Mapping[str, bytes]] = {}
        age, pgp = _ages(data), _rings(data)
        if age:
            environment["age"] = {"SOPS_AGE_KEY": age}
        if pgp:
            environment["pgp"], files["pgp"] = {}, {"secring.gpg": pgp}
        if token := data.get("sops.vault-token", b"").strip():
            environment["hc_vault"] = {"VAULT_TOKEN": _text("sops.vault-token", token)}
        if "sops.aws-kms" in data:
            environment["kms"] = _named("sops.aws-kms", data, _AWS, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
        if "sops.azure-kv" in data:
            environment["azure_kv"], files["azure_kv"] = _azure(data)
        if "sops.gcp-kms" in data:
            environment["gcp_kms"] = {"GOOGLE_CREDENTIALS": _google(data)}
        digest = hashlib.sha256()
        for name, value in sorted(data.items()):
            digest.update(f"{name}\0{len(value)}\0".encode() + value)
        return Keys(secret, environment, files, digest.hexdigest())


def _ages(data: Mapping[str, bytes]) -> str:
    """The identities of age, one a line, without comments."""
    found: dict[str, None] = {}
    for name, value in sorted(data.items()):
        if name.endswith(".agekey"):
            identities = _AGE.findall(_text(name, value))
            if not identities:
                raise BadKey(name, "there is no private key of age in it: AGE-SECRET-KEY-1...")
            found |= dict.fromkeys(identities)
    if sum(map(len, found)) > _LONGEST:
        raise BadKey("*.agekey", f"more than {_LONGEST:,} characters of keys")
    return "\n".join(found)


def _rings(data: Mapping[str, bytes]) -> bytes:
    """The private keys of PGP as a keyring, which sops reads without GnuPG."""
    ring = b""
    for name, value in sorted(data.items()):
        if name.endswith(".asc"):
            blocks = _ARMOR.findall(value)
            if not blocks:
                raise BadKey(name, "there is no private key of PGP in it: gpg --export-secret-keys --armor")
            ring += b"".join(_dearmored(name, block) for block in blocks)
    return ring


def _dearmored(name: str, block: bytes) -> bytes:
    """The bytes of an armored block (RFC 9580, "ASCII Armor"): headers, an empty line, base64, a checksum."""
    end = _ENDS_OF_HEADERS.search(b"\n" + block)
    body = (b"\n" + block)[end.end() :] if end is not None else block
    lines = [line.strip() for line in body.splitlines()]
    text = b"".join(line for line in lines if not line.startswith(b"="))
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadKey(name, "its armor cannot be read") from None


def _azure(data: Mapping[str, bytes]) -> tuple[dict[str, str], dict[str, bytes]]:
    name = "sops.azure-kv"
    found = _named(name, data, _AZURE, ("AZURE_TENANT_ID", "AZURE_CLIENT_ID"))
    certificate = _mapping(name, data[name]).get("clientCertificate")
    if isinstance(certificate, str) and certificate:
        return found, {"azure.pem": certificate.encode()}
    if "AZURE_CLIENT_SECRET" not in found:
        # A managed identity: that is the agent's own.
        raise BadKey(name, "it has neither clientSecret nor clientCertificate")
    return found, {}


def _google(data: Mapping[str, bytes]) -> str:
    name = "sops.gcp-kms"
    text = _text(name, data[name].strip())
    try:
        kind = json.loads(text).get("type")
    except (ValueError, AttributeError, RecursionError):
        raise BadKey(name, "it is no JSON of credentials") from None
    if kind not in _GOOGLE:
        raise BadKey(name, f"credentials have to be of type {' or '.join(_GOOGLE)}")
    return text


def _named(entry: str, data: Mapping[str, bytes], names: Mapping[str, str], needed: tuple[str, ...]) -> dict[str, str]:
    given = _mapping(entry, data[entry])
    found = {variable: str(given[name]) for name, variable in names.items() if given.get(name)}
    for variable in needed:
        if variable not in found:
            wanted = [name for name, meant in names.items() if meant == variable]
            raise BadKey(entry, f"it has no {' or '.join(wanted)}")
    for value in found.values():
        _text(entry, value.encode())
    return found


def _mapping(entry: str, data: bytes) -> Mapping[str, Any]:
    try:
        value = load(_text(entry, data))
    except YamlError as error:
        raise BadKey(entry, f"line {error.line} cannot be read") from None
    if not isinstance(value, dict):
        raise BadKey(entry, "it is no mapping of fields")
    return value


def _text(entry: str, data: bytes) -> str:
    """Text that fits into a variable of an environment."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadKey(entry, "it is no text") from None
    if "\0" in text or len(data) > _LONGEST:
        raise BadKey(entry, "it has a NUL in it" if "\0" in text else f"more than {_LONGEST:,} bytes")
    return text
