"""Whether an artifact of a registry is signed with cosign, by a key or somebody who is trusted: where its signatures
are, and what of them counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

from gitsync.api.names import VERIFICATION_ERROR
from gitsync.errors import ArtifactError, NotVerified, SourceMissing
from gitsync.oci import Descriptor, Registry, Repository
from gitsync.signatures import CosignKeys, Keyless, check_keyless

#: The largest signature with its payload in bytes, and how many signatures of an artifact are tried.
_MAX_SIGNATURE = 1 << 20
_MOST = 50
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
_ANNOTATION = "dev.cosignproject.cosign/signature"

#: Checks one signature. Raises NotVerified when it is not one of those that are trusted.
_Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class CosignVerification:
    """``where`` names what holds the ``keys`` that count, a Secret; or the root of those who sign without keys, who are
    ``keyless`` then."""

    where: str
    keys: CosignKeys = field(default_factory=CosignKeys)
    keyless: Keyless | None = None

    @property
    def id(self) -> str:
        """The verification's name in caches: different for each set of keys and identities."""
        if self.keyless is None:
            return f"cosign {self.where} {self.keys.id}"
        return f"cosign {self.where} {self.keyless.id} {self.keyless.identities}"

    @property
    def plain(self) -> CosignVerification:
        """The verification without what Secrets hold, for callers that have no access to them."""
        keyless = Keyless(self.keyless.identities) if self.keyless is not None else None
        return CosignVerification(self.where, keyless=keyless)

    def lacks(self) -> str:
        """What is missing, so that nothing can be verified; "" when nothing is."""
        if self.keyless is not None:
            return "" if self.keyless.root and self.keyless.identities else f"{self.where} has no trusted_root.json"
        if self.keys.keys:
            return ""
        return f"{self.where} {self.keys.unusable[0]}" if self.keys.unusable else f"{self.where} has no *.pub"

    def check_bundle(self, bundle: bytes, digest: str) -> None:
        """Raises: NotVerified."""
        if self.keyless is not None:
            check_keyless(bundle, digest, self.keyless)
        else:
            from gitsync.signatures.cosign import check_bundle

            check_bundle(bundle, digest, self.keys)

    def check_simple(self, payload: bytes, signature: str, digest: str) -> None:
        """Raises: NotVerified."""
        if self.keyless is not None:
            hint = "sign with cosign 3, or with --new-bundle-format"
            raise NotVerified("it is no bundle, and without a key only those prove who has signed", hint=hint)
        from gitsync.signatures.cosign import check_simple_signing

        check_simple_signing(payload, signature, digest, self.keys)


async def check_signed(registry: Registry, repository: Repository, digest: str, wanted: CosignVerification) -> None:
    """Whether the manifest with this digest is signed by one of the keys, in a bundle or as cosign 2 does it.

    Raises: NotVerified; SourceUnavailable, SourceError when the registry cannot be asked.
    """
    reference = f"{repository}@{digest}"
    if why := wanted.lacks():
        raise _refused(reference, why)
    tried = []
    async for check in _signatures(registry, repository, digest, wanted):
        try:
            await asyncio.to_thread(check)
        except NotVerified as error:
            tried.append(error.message)
        else:
            return
    raise _refused(reference, f"of {len(tried)} signatures the last: {tried[-1]}" if tried else "it is not signed")


def _refused(reference: str, why: str) -> NotVerified:
    failed = "failed to verify the signature using provider 'cosign'"
    message = f"{failed}: no matching signatures were found for '{reference}': {why}"
    return NotVerified(message, reason=VERIFICATION_ERROR)


async def _signatures(
    registry: Registry, repository: Repository, digest: str, wanted: CosignVerification
) -> AsyncIterator[_Check]:
    for item in (await registry.referrers(repository, digest))[:_MOST]:
        if (bundle := await _bundle(registry, repository, item)) is not None:
            yield partial(wanted.check_bundle, bundle, digest)
    try:
        manifest = await registry.manifest(repository, f"{digest.replace(':', '-', 1)}.sig")
    except SourceMissing:
        return
    for layer in [item for item in manifest.layers if item.media_type == _SIMPLE][:_MOST]:
        payload = await _blob(registry, repository, layer)
        made = layer.annotations.get(_ANNOTATION, "")
        yield partial(wanted.check_simple, payload, made, digest)


async def _bundle(registry: Registry, repository: Repository, item: Descriptor) -> bytes | None:
    """The bundle that a manifest holds; None for one that holds something else."""
    try:
        manifest = await registry.manifest(repository, item.digest)
    except (ArtifactError, SourceMissing):
        return None
    if len(manifest.layers) != 1 or not manifest.layers[0].media_type.startswith(_BUNDLE):
        return None
    return await _blob(registry, repository, manifest.layers[0])


async def _blob(registry: Registry, repository: Repository, blob: Descriptor) -> bytes:
    body = await registry.blob(repository, blob, _MAX_SIGNATURE)
    return await asyncio.to_thread(body.read)
