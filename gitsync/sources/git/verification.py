"""Which signatures a Git repository's commits and tags must carry, and whether they do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from gitsync.errors import NotVerified
from gitsync.git import GitReference, Mirror, Resolved, SignedObject
from gitsync.signatures import TrustedKeys, signer_of

Mode = Literal["HEAD", "Tag", "TagAndHEAD"]

#: The reasons that Flux's conditions give.
INVALID_COMMIT = "InvalidCommitSignature"
INVALID_TAG = "InvalidTagSignature"
INVALID_MODE = "InvalidVerificationMode"
UNSIGNED_TAG = "InvalidGitObject"
_TAGS = "refs/tags/"


@dataclass(frozen=True, slots=True)
class Verification:
    """``mode`` says what has to be signed, ``where`` what names the ``keys`` that count: a Secret, or a setting."""

    mode: Mode
    where: str
    keys: TrustedKeys = field(default_factory=TrustedKeys)

    @property
    def id(self) -> str:
        """Identifies the verification."""
        return f"{self.mode} {self.where} {self.keys.id}"


async def verified(mirror: Mirror, reference: GitReference, found: Resolved, wanted: Verification) -> str:
    """What was verified, in Flux's words, of the commit that was ``found`` by a reference, and is in the mirror.

    Raises: NotVerified; and what the mirror raises.
    """
    lines = []
    if wanted.mode != "HEAD":
        if not reference.is_tag:
            message = "cannot verify tag object's signature if a tag reference is not specified"
            raise NotVerified(message, reason=INVALID_MODE, hint="set ref.tag, ref.semver or ref.name, or mode: HEAD")
        lines.append(await _tag(mirror, found, wanted))
    if wanted.mode != "Tag":
        lines.append(await _commit(mirror, found, wanted))
    return "\n\t- ".join(["verified signature of", *lines])


async def _commit(mirror: Mirror, found: Resolved, wanted: Verification) -> str:
    failed = f"signature verification of commit '{found.commit}' failed"
    try:
        signer = await _signer(await mirror.signed(found.commit), wanted)
    except NotVerified as error:
        raise _refused(failed, error, INVALID_COMMIT, wanted) from None
    return f"commit '{found.commit}' with key '{signer}'"


async def _tag(mirror: Mirror, found: Resolved, wanted: Verification) -> str:
    name = found.name.removeprefix(_TAGS)
    shown = f"{name}@{found.tag}" if found.tag else name
    tag = await mirror.signed_tag(found.tag) if found.tag else None
    if tag is None or not tag.signature:
        message = f"cannot verify signature of tag '{shown}' since it is not signed"
        raise NotVerified(message, reason=UNSIGNED_TAG, hint="make it with git tag -s")
    failed = f"signature verification of tag '{shown}' failed"
    try:
        _check_target(tag, name, found.commit)
        signer = await _signer(tag, wanted)
    except NotVerified as error:
        raise _refused(failed, error, INVALID_TAG, wanted) from None
    return f"tag '{shown}' with key '{signer}'"


def _check_target(tag: SignedObject, name: str, commit: str) -> None:
    """Check that the signed tag has this very name and points to this commit: neither a renamed tag, nor a tag of a
    tag."""
    if tag.target_type != "commit" or tag.target != commit:
        raise NotVerified(f"it does not lead to the commit {commit}")
    if tag.name != name:
        raise NotVerified("it was signed under another name")


async def _signer(signed: SignedObject, wanted: Verification) -> str:
    return await asyncio.to_thread(signer_of, signed.signature, signed.payload, wanted.keys)


def _refused(what: str, error: NotVerified, reason: str, wanted: Verification) -> NotVerified:
    hint = f"if that key is to be trusted, add it to {wanted.where}" if error.signer else ""
    if unusable := wanted.keys.unusable:
        hint = f"in {wanted.where} {unusable[0]}"
    return NotVerified(f"{what}: {error.message}", reason=reason, signer=error.signer, hint=hint)
