"""PGP signatures, as Sequoia reads and judges them (its standard policy: no weak hashes, no keys that may not sign)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pysequoia import Cert, Sig, verify
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

from gitsync.errors import NotVerified
from gitsync.text import listed

#: What Sequoia raises for what it does not take: its texts have stack traces, and are never shown.
_REFUSALS = (RuntimeError, ValueError)
#: Digits of a fingerprint that are a key id.
_KEY_ID = 16
#: Digits of a fingerprint of version 4.
_V4 = 40


def read_certs(data: bytes) -> list[Cert]:
    """The certificates ("public keys") in armored or binary data. Raises: ValueError, which names no content."""
    try:
        certs = Cert.split_bytes(data)
    except _REFUSALS:
        raise ValueError("is no PGP public key") from None
    if not certs:
        raise ValueError("holds no PGP public key")
    return certs


def pgp_signer(signature: bytes, payload: bytes, certs: Sequence[Cert], now: datetime) -> str:
    """The key id of the certificate that has signed ``payload``, as Flux writes it. Raises: NotVerified."""
    try:
        found = Sig.from_bytes(signature)
    except _REFUSALS:
        raise NotVerified("its PGP signature cannot be read") from None
    signer = _id(found.issuer_fingerprint or "") or (found.issuer_key_id or "").upper()
    if found.signature_type != SignatureType.Binary:
        raise NotVerified("its PGP signature is of another type than one over its bytes", signer=signer)
    if found.expiration is not None and found.expiration <= now:
        raise NotVerified(f"its PGP signature has expired on {_day(found.expiration)}", signer=signer)
    known = [cert for cert in certs if signer in _key_ids(cert)]
    if not known:
        raise NotVerified(f"it is signed with the PGP key {signer or 'of nobody'}, {_none_of(certs)}", signer=signer)
    for cert in known:
        if (key := _signing_key(cert, found, payload)) and not _defect(cert, key, now):
            return _id(cert.fingerprint)
    raise NotVerified(_why_not(known, signer, now), signer=signer)


def pgp_names(certs: Iterable[Cert]) -> list[str]:
    """The key ids of certificates."""
    return [_id(cert.fingerprint) for cert in certs]


def _signing_key(cert: Cert, signature: Sig, payload: bytes) -> str:
    """The id of the key of ``cert`` that has made this signature over these bytes; "" for none."""
    try:
        found = verify(bytes=payload, store=lambda _: [cert], signature=signature)
    except _REFUSALS:
        return ""
    keys = [_id(str(it.signing_key)) for it in found.valid_sigs if _id(str(it.certificate)) == _id(cert.fingerprint)]
    return keys[0] if keys else ""


def _why_not(known: Sequence[Cert], signer: str, now: datetime) -> str:
    for cert in known:
        if why := _defect(cert, signer, now):
            return f"it is signed with the PGP key {signer}{_of(cert)}, which {why}"
    key = f"the PGP key {signer}{_of(known[0])}"
    return f"its signature with {key} is not one over these bytes, or that key may not sign"


def _defect(cert: Cert, signer: str, now: datetime) -> str:
    """What is wrong with a key by now, "" for nothing. As with Flux, what was signed before it expired is not good."""
    if cert.is_revoked:
        return "is revoked"
    if cert.expiration is not None and cert.expiration <= now:
        return f"has expired on {_day(cert.expiration)}"
    for key, bindings in _subkeys(cert):
        if _id(key.fingerprint or "") != signer:
            continue
        if any(item.signature_type == SignatureType.SubkeyRevocation for item in bindings):
            return "is a subkey that is revoked"
        if (end := _end(key, bindings)) is not None and end <= now:
            return f"is a subkey that has expired on {_day(end)}"
    return ""


def _subkeys(cert: Cert) -> Iterator[tuple[Packet, list[Packet]]]:
    """The subkeys of a certificate, each with the signatures that follow it."""
    key: Packet | None = None
    signatures: list[Packet] = []
    for packet in PacketPile.from_bytes(bytes(cert)):
        if packet.tag == Tag.Signature:
            signatures.append(packet)
            continue
        if key is not None:
            yield key, signatures
        key = packet if packet.tag in (Tag.PublicSubkey, Tag.SecretSubkey) else None
        signatures = []
    if key is not None:
        yield key, signatures


def _end(key: Packet, bindings: Sequence[Packet]) -> datetime | None:
    """When a subkey expires, by the newest of what binds it; None for never."""
    binding = [item for item in bindings if item.signature_type == SignatureType.SubkeyBinding]
    newest = max(binding, key=lambda item: item.signature_created or datetime.min.replace(tzinfo=UTC), default=None)
    period = newest.key_validity_period if newest is not None else None
    if not period or key.key_created is None:
        return None
    created: datetime = key.key_created
    return created + timedelta(seconds=period.total_seconds())


def _key_ids(cert: Cert) -> set[str]:
    return {_id(cert.fingerprint), *(_id(key.fingerprint or "") for key, _ in _subkeys(cert))}


def _id(fingerprint: str) -> str:
    """The key id in a fingerprint: its end up to version 4 of keys, its beginning from version 6 on."""
    return (fingerprint[-_KEY_ID:] if len(fingerprint) <= _V4 else fingerprint[:_KEY_ID]).upper()


def _of(cert: Cert) -> str:
    names = [str(name) for name in cert.user_ids]
    return f" of {names[0]}" if names else ""


def _none_of(certs: Sequence[Cert]) -> str:
    return f"which is none of those that are trusted ({listed(pgp_names(certs), 5)})"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
