"""Signatures over bytes, and the public keys that are trusted: PGP and SSH, as commits and tags carry them, and
cosign's, as artifacts of registries do. Pure.

``keys`` are what is trusted, read from texts, cosign's by ``publickeys``; ``checking`` says who has signed, by ``pgp``
or by ``ssh``. ``cosign`` is for itself, with keys, and ``keyless`` without, of what ``statements`` say. What could not
be checked never counts as checked: every way out but a returned name is ``NotVerified``.

``pgp``, ``ssh``, ``publickeys`` and ``cosign`` are imported where something is verified, and not before: their
libraries take 10 MB.
"""

from gitsync.signatures.checking import signer_of
from gitsync.signatures.keyless import Identity, Keyless, check_keyless
from gitsync.signatures.keys import MAX_TEXT, CosignKeys, KeysUnusable, TrustedKeys

__all__ = [
    "MAX_TEXT",
    "CosignKeys",
    "Identity",
    "Keyless",
    "KeysUnusable",
    "TrustedKeys",
    "check_keyless",
    "signer_of",
]
