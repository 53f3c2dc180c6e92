"""Signatures over bytes, and the public keys that are trusted: PGP and SSH, as commits and tags carry them, and
cosign's, as artifacts of registries do. Pure.

``keys`` are what is trusted, read from texts; ``checking`` says who has signed, by ``pgp`` or by ``ssh``. ``cosign``
is for itself, with keys, and ``keyless`` without, of what ``statements`` say. What could not be checked never counts as
checked: every way out but a returned name is ``NotVerified``.
"""

from gitsync.signatures.checking import signer_of
from gitsync.signatures.cosign import CosignKeys, check_bundle, check_simple_signing
from gitsync.signatures.keyless import Identity, Keyless, check_keyless
from gitsync.signatures.keys import MAX_TEXT, KeysUnusable, TrustedKeys

__all__ = [
    "MAX_TEXT",
    "CosignKeys",
    "Identity",
    "Keyless",
    "KeysUnusable",
    "TrustedKeys",
    "check_bundle",
    "check_keyless",
    "check_simple_signing",
    "signer_of",
]
