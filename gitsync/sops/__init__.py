"""SOPS: texts that are encrypted with it, the keys that open them, and the program that does, sops.

program    runs sops, a few at once, within bounds, and remembers what came out of it
keys       the Secret of a Kustomization's spec.decryption -> what one run of sops is given
metadata   what an encrypted text says about itself: its format, for whom it is encrypted
"""

from gitsync.sops.keys import BadKey, Keys
from gitsync.sops.metadata import Format, Recipient, entry_format, file_format, is_marked, marked_format, recipients
from gitsync.sops.program import Sops

__all__ = [
    "BadKey",
    "Format",
    "Keys",
    "Recipient",
    "Sops",
    "entry_format",
    "file_format",
    "is_marked",
    "marked_format",
    "recipients",
]
