"""How clients trust the sandbox: a certificate of its own, and the kubeconfig that names it."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gitsync.errors import SettingsError

_LIFETIME: Final = dt.timedelta(days=365)


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Writes a certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gitsync sandbox")])
    now = dt.datetime.now(dt.UTC)
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(addresses, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "sandbox.crt", directory / "sandbox.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    write_private(paths[1], key.private_bytes(*pem))
    return paths


def write_kubeconfig(path: Path, server: str, token: str, authority: bytes) -> None:
    """Writes a kubeconfig (JSON is YAML) that needs no other file.

    Raises: SettingsError when the file exists, which may be somebody's, or cannot be written.
    """
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "gitsync-sandbox",
        "clusters": [{"name": "gitsync-sandbox", "cluster": cluster}],
        "users": [{"name": "gitsync-sandbox", "user": {"token": token}}],
        "contexts": [{"name": "gitsync-sandbox", "context": {"cluster": "gitsync-sandbox", "user": "gitsync-sandbox"}}],
    }
    write_private(path, json.dumps(config, indent=2).encode() + b"\n")


_WHERE: Final = "name a file that does not exist, in a directory that does"


def write_private(path: Path, content: bytes) -> None:
    """For nobody else to read, also while it is written."""
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(content)
    except OSError as error:
        raise SettingsError(f"cannot write {path}: {error.strerror}", hint=_WHERE) from error


_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
