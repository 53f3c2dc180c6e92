"""A Sigstore of its own: an authority that certifies identities, and logs of certificates and of signatures, as Fulcio,
a certificate log and Rekor are. What it signs is what cosign 3 leaves in a registry; its root is what is trusted."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
_ISSUER_BEFORE = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SCT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
SIGNED = "https://sigstore.dev/cosign/sign/v1"
_ORIGIN = "rekor.example - 1"


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.DER, form)


def _log_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_der(key)).digest()


def _sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _octets(data: bytes) -> bytes:
    """As an OCTET STRING of ASN.1."""
    size = len(data)
    head = bytes([size]) if size < 0x80 else bytes([0x81, size]) if size < 0x100 else b"\x82" + struct.pack("!H", size)
    return b"\x04" + head + data


def _utf8(text: str) -> bytes:
    """As an UTF8String of ASN.1, of less than 128 bytes."""
    return b"\x0c" + bytes([len(text)]) + text.encode()


@dataclass
class Sigstore:
    """One that starts now."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    authority: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificates: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    signatures: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key())
        self.root = (
            self._certificate(name, name, self.authority.public_key(), timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.authority, hashes.SHA256())
        )

    def trusted_root(self) -> bytes:
        """``trusted_root.json``."""
        since = {"start": (self.now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}
        raw = self.root.public_bytes(serialization.Encoding.DER)
        authority = {
            "subject": {"organization": "example", "commonName": "an authority"},
            "uri": "https://fulcio.example",
            "certChain": {"certificates": [{"rawBytes": _text(raw)}]},
            "validFor": since,
        }
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._log(self.signatures, "https://rekor.example", since)],
            "certificateAuthorities": [authority],
            "ctlogs": [self._log(self.certificates, "https://ctfe.example", since)],
        }
        return json.dumps(root).encode()

    def bundle(
        self, digest: str, subject: str = SUBJECT, issuer: str = ISSUER, *, late: bool = False, says: str = SIGNED
    ) -> dict[str, Any]:
        """The signature of an artifact by somebody, who ``says`` that; ``late``, when his certificate had expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certify(key, subject, issuer)
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}}],
            "predicateType": says,
            "predicate": {},
        }
        payload, kind = json.dumps(statement).encode(), "application/vnd.in-toto+json"
        signed = b" ".join((b"DSSEv1", b"%d" % len(kind), kind.encode(), b"%d" % len(payload), payload))
        signature = _sign(key, signed)
        envelope = {"payload": _text(payload), "payloadType": kind, "signatures": [{"sig": _text(signature)}]}
        at = self.now + (timedelta(hours=2) if late else timedelta())
        entry = self._entry(envelope, payload, signature, certificate, int(at.timestamp()))
        raw = certificate.public_bytes(serialization.Encoding.DER)
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"certificate": {"rawBytes": _text(raw)}, "tlogEntries": [entry]},
            "dsseEnvelope": envelope,
        }

    def certify(self, key: ec.EllipticCurvePrivateKey, subject: str, issuer: str) -> x509.Certificate:
        """A certificate for ten minutes that says who somebody is, as whom, with the word of the log about it."""
        builder = (
            self._certificate(x509.Name([]), self.root.subject, key.public_key(), timedelta(minutes=10))
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(subject)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_BEFORE, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_OID, _utf8(issuer)), critical=False)
        )
        tbs = builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        word = _octets(self._word(tbs))
        return builder.add_extension(x509.UnrecognizedExtension(_SCT_OID, word), critical=False).sign(
            self.authority, hashes.SHA256()
        )

    def _word(self, tbs: bytes) -> bytes:
        """A list of one signed timestamp of a certificate that is to be (RFC 6962)."""
        at, issuer = int(self.now.timestamp() * 1000), _log_id(self.authority)
        entry = issuer + struct.pack("!I", len(tbs))[1:] + tbs
        signed = struct.pack("!BBQH", 0, 0, at, 1) + entry + struct.pack("!H", 0)
        signature = _sign(self.certificates, signed)
        timestamp = struct.pack("!B32sQH", 0, _log_id(self.certificates), at, 0)
        timestamp += bytes([4, 3]) + struct.pack("!H", len(signature)) + signature
        return struct.pack("!HH", len(timestamp) + 2, len(timestamp)) + timestamp

    def _entry(
        self, envelope: Any, payload: bytes, signature: bytes, certificate: x509.Certificate, at: int
    ) -> dict[str, Any]:
        """That of the log, whose only one it is."""
        verifier = _text(certificate.public_bytes(serialization.Encoding.PEM))
        spec = {
            "envelopeHash": _sha256(json.dumps(envelope).encode()),
            "payloadHash": _sha256(payload),
            "signatures": [{"signature": _text(signature), "verifier": verifier}],
        }
        body = _canonical({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})
        log_id = _log_id(self.signatures)
        promise = {"body": _text(body), "integratedTime": at, "logID": log_id.hex(), "logIndex": 0}
        root = hashlib.sha256(b"\0" + body).digest()
        note = f"{_ORIGIN}\n1\n{_text(root)}\n"
        checkpoint = f"{note}\n\u2014 rekor.example {_text(log_id[:4] + _sign(self.signatures, note.encode()))}\n"
        return {
            "logIndex": "0",
            "logId": {"keyId": _text(log_id)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(at),
            "inclusionPromise": {"signedEntryTimestamp": _text(_sign(self.signatures, _canonical(promise)))},
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _text(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": checkpoint},
            },
            "canonicalizedBody": _text(body),
        }

    def _log(self, key: ec.EllipticCurvePrivateKey, url: str, since: Any) -> dict[str, Any]:
        details = {"rawBytes": _text(_der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": since}
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": details,
            "logId": {"keyId": _text(_log_id(key))},
        }

    def _certificate(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - valid)
            .not_valid_after(self.now + valid)
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _canonical(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
