"""Public keys that are trusted, by what a Secret or a directory holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pysequoia import Cert

    from gitsync.signatures.publickeys import PublicKey
    from gitsync.signatures.ssh import SshKey

#: What the names of SSH keys in a Secret end with; everything else counts as PGP there, as with Flux.
_SSH = ".sshpub"
#: The same of cosign's keys; others are not looked at, as with Flux.
_COSIGN = ".pub"
_ARMOR = b"-----BEGIN PGP"
#: The first byte of a PGP packet has this bit.
_PACKET = 0x80
#: Keys in all, and bytes of each text.
_MOST = 1000
MAX_TEXT = 1 << 20


class KeysUnusable(ValueError):
    """A text that holds no keys that can be used: says which and why, and no content."""


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Whose signatures count. ``unusable`` says what was passed over. ``id`` is another text for other keys."""

    pgp: tuple[Cert, ...] = field(default=(), compare=False, repr=False)
    ssh: tuple[SshKey, ...] = field(default=(), compare=False, repr=False)
    unusable: tuple[str, ...] = field(default=(), compare=False)
    id: str = ""

    @property
    def names(self) -> list[str]:
        """Key ids and fingerprints."""
        from gitsync.signatures.pgp import pgp_names

        return [*pgp_names(self.pgp), *(key.fingerprint for key in self.ssh)]

    @classmethod
    def of_secret(cls, data: Mapping[str, bytes]) -> TrustedKeys:
        """By their names, as Flux reads them: ``*.sshpub`` are SSH's, all others PGP's. One that cannot be used is
        passed over: it makes nothing count that would not count otherwise."""
        return _read({name: (text, name.endswith(_SSH)) for name, text in data.items()})

    @classmethod
    def of_files(cls, files: Mapping[str, bytes]) -> TrustedKeys:
        """By what they hold. Raises: KeysUnusable, for the first that cannot be used, and for none at all."""
        found = _read({name: (text, not _is_pgp(text)) for name, text in files.items()})
        if found.unusable:
            raise KeysUnusable(found.unusable[0])
        if not found.pgp and not found.ssh:
            raise KeysUnusable("there are no keys")
        return found


@dataclass(frozen=True, slots=True)
class CosignKeys:
    """Whose signatures of artifacts count. ``unusable`` says what was passed over, ``id`` is another text for other
    keys."""

    keys: tuple[PublicKey, ...] = field(default=(), compare=False, repr=False)
    unusable: tuple[str, ...] = field(default=(), compare=False)
    id: str = ""

    @classmethod
    def of_secret(cls, data: Mapping[str, bytes]) -> CosignKeys:
        """The keys ``*.pub`` of a Secret, in PEM."""
        from gitsync.signatures.publickeys import read_key

        keys, unusable, made = [], [], hashlib.sha256()
        for name, text in sorted(data.items()):
            if not name.endswith(_COSIGN):
                continue
            made.update(b"\0".join((name.encode(), text, b"")))
            try:
                keys.append(read_key(text))
            except ValueError:
                unusable.append(f"{name} is no public key in PEM that can be used")
        return cls(tuple(keys), tuple(unusable), made.hexdigest())


def _is_pgp(data: bytes) -> bool:
    return data.lstrip().startswith(_ARMOR) or bool(data[:1] and data[0] & _PACKET)


def _read(texts: Mapping[str, tuple[bytes, bool]]) -> TrustedKeys:
    from gitsync.signatures.pgp import read_certs
    from gitsync.signatures.ssh import read_keys

    pgp: list[Cert] = []
    ssh: list[SshKey] = []
    unusable = []
    made = hashlib.sha256()
    for name, (text, is_ssh) in sorted(texts.items()):
        made.update(b"\0".join((name.encode(), text, b"")))
        try:
            if len(text) > MAX_TEXT or len(pgp) + len(ssh) > _MOST:
                raise ValueError(f"is more than {_MOST} keys, or {MAX_TEXT >> 20} MiB")
            if is_ssh:
                ssh += read_keys(text.decode())
            else:
                pgp += read_certs(text)
        except UnicodeDecodeError:
            unusable.append(f"{name} is no text")
        except ValueError as error:
            unusable.append(f"{name} {error}")
    return TrustedKeys(tuple(pgp), tuple(ssh), tuple(unusable), made.hexdigest())
