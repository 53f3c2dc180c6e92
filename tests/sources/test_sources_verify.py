"""GitRepositories of a real cluster with ``spec.verify``: what is signed is used, and nothing else ever is."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.conditions import condition_of
from tests.git.git_world import HttpGit, Repository
from tests.git.signing import Signer, pgp_signer, sign_head, sign_tag, ssh_signer
from tests.sources.gitworld import World, has, origin, served, server, serving, world
from tests.until import until

__all__ = ["origin", "served", "server", "world"]

VERIFIED = "SourceVerified"


def verify(mode: str = "HEAD", name: str = "keys") -> dict[str, Any]:
    return {"mode": mode, "secretRef": {"name": name}}


async def verified(world: World, name: str = "app") -> dict[str, Any]:
    return condition_of({"status": await world.status(name)}, VERIFIED)


async def refused(world: World, reason: str, words: str, name: str = "app") -> bool:
    found = {"status": await world.status(name)}
    ready, signed = condition_of(found, "Ready"), condition_of(found, VERIFIED)
    said = (ready.get("status"), signed.get("status"), ready.get("reason"), signed.get("reason"))
    return said == ("False", "False", reason, reason) and words in str(signed.get("message"))


@pytest.mark.parametrize(("make", "key"), [(pgp_signer, "ann.asc"), (pgp_signer, "ann"), (ssh_signer, "ann.sshpub")])
async def test_a_signed_commit_is_used_and_what_is_not_leaves_the_one_before(
    served: World, make: Any, key: str
) -> None:
    signer, stranger = make(), make()
    served.commit("1.0.0")
    good = sign_head(served.origin, signer)
    await served.secret("keys", {key: signer.public})
    await served.apply(verify=verify("head"), interval="1s")
    await until(lambda: served.is_ready("app", f"main@sha1:{good}"))
    status = await served.status()
    assert status["sourceVerificationMode"] == "HEAD"
    said = await verified(served)
    assert (said["status"], said["reason"]) == ("True", "Succeeded")
    assert said["message"] == f"verified signature of\n\t- commit '{good}' with key '{signer.name}'"

    bad = served.commit("1.0.1")
    failed = f"signature verification of commit '{bad}' failed: it is not signed"
    await until(lambda: refused(served, "InvalidCommitSignature", failed))
    bad = sign_head(served.origin, stranger)
    failed = f"signature verification of commit '{bad}' failed: it is signed with the "
    await until(lambda: refused(served, "InvalidCommitSignature", failed))
    served.origin.git("reset", "--hard", "--quiet", good)
    served.commit("1.0.2")
    bad = sign_head(served.origin, signer, over=b"something else")
    await until(lambda: refused(served, "InvalidCommitSignature", f"commit '{bad}' failed: its signature with"))
    assert await served.version() == "1.0.0", "what was verified before stays in use"
    assert (await served.status())["artifact"]["revision"] == f"main@sha1:{good}"

    served.origin.git("reset", "--hard", "--quiet", good)
    served.commit("1.1.0")
    good = sign_head(served.origin, signer)
    await until(lambda: served.is_ready("app", f"main@sha1:{good}"))
    assert await served.version() == "1.1.0"
    assert (await verified(served))["status"] == "True"


async def test_without_the_right_keys_nothing_is_used_and_a_key_that_is_added_is_noticed(served: World) -> None:
    signer = pgp_signer()
    served.commit("1.0.0")
    good = sign_head(served.origin, signer)
    await served.apply(verify=verify())
    missing = f"public keys secret error: Secret '{served.namespace}/keys' does not exist"
    await until(lambda: refused(served, "VerificationError", missing))
    await served.secret("keys", {})
    await until(lambda: refused(served, "InvalidCommitSignature", "there are no PGP keys that are trusted"))
    await served.secret("keys", {"ann.sshpub": ssh_signer().public})
    await until(lambda: refused(served, "InvalidCommitSignature", "there are no PGP keys that are trusted"))
    key = pgp_signer()
    await served.secret("keys", {"other.asc": key.public})
    await until(lambda: refused(served, "InvalidCommitSignature", f"none of those that are trusted ({key.name})"))
    assert "is not ready: signature verification of commit" in await served.version(), "who uses it says why"
    assert "artifact" not in await served.status()
    await served.secret("keys", {"ann.asc": signer.public})
    await until(lambda: served.is_ready("app", f"main@sha1:{good}"))


async def test_an_ssh_signature_for_another_purpose_is_none(served: World) -> None:
    signer = ssh_signer("file")
    served.commit("1.0.0")
    sign_head(served.origin, signer)
    await served.secret("keys", {"ann.sshpub": signer.public})
    await served.apply(verify=verify())
    await until(lambda: refused(served, "InvalidCommitSignature", "is for the namespace 'file', not 'git'"))


async def test_a_demand_that_is_added_or_removed_counts_at_once(served: World) -> None:
    signer = ssh_signer()
    served.commit("1.0.0")
    await served.apply()
    await until(lambda: has(served, "app", "1.0.0"))
    await served.secret("keys", {"ann.sshpub": signer.public})
    await served.apply(verify=verify())
    await until(lambda: refused(served, "InvalidCommitSignature", "it is not signed"))
    assert "it is not signed" in await served.version(), "what was found without a signature is of no use"
    await served.apply(verify=None)
    await until(lambda: served.is_ready("app"))
    assert not await verified(served)
    assert "sourceVerificationMode" not in await served.status()


async def test_tags_are_verified_with_what_they_lead_to(served: World) -> None:
    signer, stranger = ssh_signer(), ssh_signer()
    await served.secret("keys", {"ann.sshpub": signer.public})
    served.commit("1.0.0")
    commit = sign_head(served.origin, stranger)
    tag = sign_tag(served.origin, signer, "v1.0.0")
    await served.apply("tag", ref={"tag": "v1.0.0"}, verify=verify("Tag"))
    await served.apply("range", ref={"semver": "1.x"}, verify=verify("Tag"))
    await served.apply("name", ref={"name": "refs/tags/v1.0.0"}, verify=verify("Tag"))
    for name in ("tag", "range", "name"):
        await until(lambda name=name: served.is_ready(name))
        message = (await verified(served, name))["message"]
        assert message == f"verified signature of\n\t- tag 'v1.0.0@{tag}' with key '{signer.name}'"
    await served.apply("both", ref={"tag": "v1.0.0"}, verify=verify("TagAndHEAD"))
    await until(lambda: refused(served, "InvalidCommitSignature", f"commit '{commit}' failed", "both"))

    served.commit("1.1.0")
    commit = sign_head(served.origin, signer)
    tag = sign_tag(served.origin, signer, "v1.1.0")
    await served.apply("both", ref={"tag": "v1.1.0"}, verify=verify("TagAndHEAD"))
    await until(lambda: served.is_ready("both"))
    assert (await verified(served, "both"))["message"] == (
        f"verified signature of\n\t- tag 'v1.1.0@{tag}' with key '{signer.name}'"
        f"\n\t- commit '{commit}' with key '{signer.name}'"
    )
    assert (await served.status("both"))["sourceVerificationMode"] == "TagAndHEAD"


async def test_a_tag_that_says_something_else_is_refused(served: World) -> None:
    signer = ssh_signer()
    await served.secret("keys", {"ann.sshpub": signer.public})
    served.commit("1.0.0")
    sign_head(served.origin, signer)
    sign_tag(served.origin, signer, "v2.0.0", called="v1.0.0")
    sign_tag(served.origin, ssh_signer(), "foreign")
    served.origin.git("tag", "light")
    served.origin.git("tag", "-a", "unsigned", "-m", "no signature")
    inner = sign_tag(served.origin, signer, "inner")
    served.origin.git("update-ref", "refs/tags/nested", nested(served.origin, signer, inner))
    failures = {
        "v2.0.0": ("InvalidTagSignature", "it was signed under another name"),
        "foreign": ("InvalidTagSignature", "none of those that are trusted"),
        "nested": ("InvalidTagSignature", "it does not lead to the commit"),
        "light": ("InvalidGitObject", "cannot verify signature of tag 'light' since it is not signed"),
        "unsigned": ("InvalidGitObject", "since it is not signed"),
    }
    for name in failures:
        await served.apply(name, ref={"tag": name}, verify=verify("Tag"))
    await served.apply("branch", verify=verify("Tag"))
    failures["branch"] = ("InvalidVerificationMode", "if a tag reference is not specified")
    for name, (reason, words) in failures.items():
        await until(lambda name=name, reason=reason, words=words: refused(served, reason, words, name))
        assert "artifact" not in await served.status(name)


def nested(repository: Repository, signer: Signer, tag: str) -> str:
    """A signed tag of a tag."""
    text = f"object {tag}\ntype tag\ntag nested\ntagger Ada <ada@git.example> 1700000000 +0000\n\nnested\n"
    signed = (text + signer.sign(text.encode()) + "\n").encode()
    return repository.git("hash-object", "-t", "tag", "-w", "--stdin", stdin=signed)


async def test_a_restart_goes_on_with_what_was_verified_and_with_nothing_else(
    world: World, server: HttpGit, tmp_path: Path
) -> None:
    signer = pgp_signer()
    world.commit("1.0.0")
    good = sign_head(world.origin, signer)
    await world.secret("keys", {"ann.asc": signer.public})
    await world.apply(verify=verify())
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await until(lambda: world.is_ready("app", f"main@sha1:{good}"))
    world.commit("1.0.1")
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await until(lambda: refused(world, "InvalidCommitSignature", "it is not signed"))
        assert await world.version() == "1.0.0"
    await world.secret("keys", {"ann.asc": pgp_signer().public})
    server.status = 503
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await until(lambda: world.fails("GitOperationFailed", "503"))
        assert "503" in await world.version(), "it was verified by a key that does not count any more"
