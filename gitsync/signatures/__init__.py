"""Signatures over bytes, and the public keys that are trusted: PGP and SSH, as commits and tags carry them. Pure.

``keys`` are what is trusted, read from texts; ``checking`` says who has signed, by ``pgp`` or by ``ssh``. What could
not be checked never counts as checked: every way out but a returned name is ``NotVerified``.
"""

from gitsync.signatures.checking import signer_of
from gitsync.signatures.keys import MAX_TEXT, KeysUnusable, TrustedKeys

__all__ = ["MAX_TEXT", "KeysUnusable", "TrustedKeys", "signer_of"]
