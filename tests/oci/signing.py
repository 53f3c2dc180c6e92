"""Artifacts signed as cosign does it, with keys that a test makes, and pushed by the registry's own API."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import urllib.request
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from tests.controlplane.registry import PASSWORD, USER, Registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGN = "https://sigstore.dev/cosign/sign/v1"
SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Signer:
    key: PrivateKey

    @classmethod
    def make(cls, kind: str = "p256") -> Signer:
        makers: dict[str, Any] = {
            "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
            "rsa": lambda: rsa.generate_private_key(65537, 2048),
        }
        return cls(makers[kind]())

    @property
    def public(self) -> str:
        key = self.key.public_key()
        encoded = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return encoded.decode()

    def sign(self, data: bytes) -> str:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            made = self.key.sign(data)
        elif isinstance(self.key, rsa.RSAPrivateKey):
            made = self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        else:
            made = self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        return base64.b64encode(made).decode()

    def claim(self, digest: str) -> bytes:
        """What cosign 2 signs."""
        identity = {"docker-reference": "registry.example/app"}
        kind = "cosign container image signature"
        image = {"docker-manifest-digest": digest}
        return json.dumps({"critical": {"identity": identity, "image": image, "type": kind}, "optional": None}).encode()

    def bundle(self, digest: str, predicate: str = SIGN, kind: str = "application/vnd.in-toto+json") -> dict[str, Any]:
        """What cosign 3 makes: a statement about the artifact in an envelope."""
        subject = [{"digest": {"sha256": digest.removeprefix("sha256:")}, "annotations": None}]
        statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": predicate}
        payload = json.dumps(statement).encode()
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind,
            "signatures": [{"sig": self.sign(signed)}],
        }
        return {"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "x"}}, "dsseEnvelope": envelope}

    def message_bundle(self, manifest: bytes) -> dict[str, Any]:
        """A bundle of a signature over the manifest itself."""
        digest = base64.b64encode(hashlib.sha256(manifest).digest()).decode()
        message = {"messageDigest": {"algorithm": "SHA2_256", "digest": digest}, "signature": self.sign(manifest)}
        return {"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "x"}}, "messageSignature": message}


@dataclass(frozen=True)
class Pusher:
    """Puts signatures beside the artifacts of a repository of the registry."""

    registry: Registry
    repository: str

    def simple(self, digest: str, *signed: tuple[Signer, bytes]) -> None:
        """As cosign 2: a tag made of the digest, with a layer for each claim."""
        layers = []
        for signer, claim in signed:
            annotations = {"dev.cosignproject.cosign/signature": signer.sign(claim)}
            layers.append({**self.blob(claim, SIMPLE), "annotations": annotations})
        self.manifest(f"{digest.replace(':', '-')}.sig", {"layers": layers})

    def bundles(self, digest: str, *bundles: dict[str, Any]) -> None:
        """As cosign 3, for a registry without a list of referrers: a manifest for each, in the index with the tag that
        the specification has for it."""
        listed = []
        for bundle in bundles:
            layers = [self.blob(json.dumps(bundle).encode(), BUNDLE)]
            subject = {"mediaType": MANIFEST, "digest": digest, "size": 1}
            _, size, made = self.manifest("", {"layers": layers, "subject": subject, "artifactType": BUNDLE})
            listed.append({"mediaType": MANIFEST, "digest": made, "size": size, "artifactType": BUNDLE})
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
        self.request("PUT", f"manifests/{digest.replace(':', '-')}", body, INDEX)

    def manifest(self, tag: str, manifest: dict[str, Any]) -> tuple[bytes, int, str]:
        config = self.blob(b"{}", "application/vnd.oci.empty.v1+json")
        body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, **manifest}).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.request("PUT", f"manifests/{tag or digest}", body, MANIFEST)
        return body, len(body), digest

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        place = self.request("POST", "blobs/uploads/", b"").partition(self.registry.host)[2]
        self.request("PUT", f"{place}&digest={digest}", data, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def read(self, reference: str) -> bytes:
        return self._ask("GET", f"manifests/{reference}", None, "")[0]

    def request(self, method: str, path: str, body: bytes, content_type: str = "") -> str:
        """The answer's Location."""
        return self._ask(method, path, body, content_type)[1]

    def _ask(self, method: str, path: str, body: bytes | None, content_type: str) -> tuple[bytes, str]:
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": content_type, "Accept": f"{MANIFEST}, {INDEX}"}
        url = path if path.startswith("/") else f"/v2/{self.repository}/{path}"
        context = ssl.create_default_context(cadata=self.registry.ca)
        request = urllib.request.Request(f"https://{self.registry.host}{url}", body, headers, method=method)
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return answer.read(), str(answer.headers.get("Location", ""))
