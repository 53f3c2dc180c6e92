"""Public keys in PEM, of the kinds that cosign signs with."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_SMALLEST_RSA = 2048


def read_key(text: bytes) -> PublicKey:
    """A public key in PEM. Raises: ValueError."""
    try:
        key = serialization.load_pem_public_key(text)
    except UnsupportedAlgorithm:
        raise ValueError("of another kind") from None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _SMALLEST_RSA:
        raise ValueError("too small")
    if not isinstance(key, PublicKey):
        raise ValueError("of another kind")
    return key
