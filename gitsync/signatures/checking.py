"""Who has signed what: by PGP or SSH, whichever the signature says it is."""

from __future__ import annotations

from datetime import UTC, datetime

from gitsync.errors import NotVerified
from gitsync.signatures.keys import TrustedKeys

_PGP, _SSH, _X509 = "-----BEGIN PGP SIGNATURE-----", "-----BEGIN SSH SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----"


def signer_of(signature: str, payload: bytes, keys: TrustedKeys) -> str:
    """The trusted key that has signed ``payload``: the id of a PGP key, or the fingerprint of one of SSH.

    Keys must not have expired by now. Takes time: call it in a thread.
    Raises: NotVerified, with words that go after the name of what is signed.
    """
    text = signature.strip()
    if not text:
        raise NotVerified("it is not signed")
    if not payload:
        raise NotVerified("there is nothing that is signed")
    if text.startswith(_PGP):
        if not keys.pgp:
            raise NotVerified("it has a PGP signature, and there are no PGP keys that are trusted")
        from gitsync.signatures.pgp import pgp_signer

        return pgp_signer(text.encode(), payload, keys.pgp, datetime.now(UTC))
    if text.startswith(_SSH):
        if not keys.ssh:
            raise NotVerified("it has an SSH signature, and there are no SSH keys that are trusted")
        from gitsync.signatures.ssh import ssh_signer

        return ssh_signer(text, payload, keys.ssh)
    kind = "an X.509 signature" if text.startswith(_X509) else "a signature of an unknown kind"
    raise NotVerified(f"it has {kind}, which is not supported: PGP and SSH are")
