"""OCIRepositories and charts of a real registry that have to be signed with cosign."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.conditions import condition_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.errors import ArtifactPending, ChartError, ChartRepositoryUnavailable, SourceNotReady
from gitsync.signatures import keyless
from tests.oci.signing import Pusher, Signer
from tests.signatures.ownsigstore import ISSUER, SUBJECT, Sigstore
from tests.sources.ociworld import World, serving, world
from tests.until import until

__all__ = ["world"]

VERIFY = {"provider": "cosign", "secretRef": {"name": "keys"}}


@pytest.fixture
async def served(world: World, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        yield world


@pytest.fixture
def pusher(world: World) -> Pusher:
    return Pusher(world.registry, f"{world.namespace}/app")


async def condition(world: World, kind: str) -> tuple[str, str, str]:
    found = condition_of(await world.cluster.find(world.key), kind)
    return str(found.get("status")), str(found.get("reason")), str(found.get("message"))


async def refused(world: World, words: str) -> bool:
    signed, ready = await condition(world, "SourceVerified"), await condition(world, "Ready")
    return signed[:2] == ready[:2] == ("False", "VerificationError") and words in signed[2]


async def verified(world: World, digest: str) -> bool:
    said = "True", "Succeeded", f"verified signature of revision latest@{digest}"
    return await condition(world, "SourceVerified") == said and (await condition(world, "Ready"))[0] == "True"


async def push(world: World, version: str, tag: str = "latest") -> str:
    """A chart, which the tag names once it is ``moved``."""
    return await asyncio.to_thread(world.push, version)


async def moved(pusher: Pusher, digest: str, tag: str = "latest") -> None:
    body = await asyncio.to_thread(pusher.read, digest)
    await asyncio.to_thread(
        pusher.request, "PUT", f"manifests/{tag}", body, "application/vnd.oci.image.manifest.v1+json"
    )


@pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa"])
@pytest.mark.parametrize("made", ["simple", "bundle"])
async def test_an_artifact_is_used_with_a_signature_by_one_of_the_keys(
    served: World, pusher: Pusher, kind: str, made: str
) -> None:
    signer = Signer.make(kind)
    digest = await push(served, "1.0.0")
    if made == "simple":
        await asyncio.to_thread(pusher.simple, digest, (signer, signer.claim(digest)))
    else:
        await asyncio.to_thread(pusher.bundles, digest, signer.bundle(digest))
    await moved(pusher, digest)
    await served.secret("keys", {"other.pub": Signer.make().public, "cosign.pub": signer.public, "cosign.key": "x"})
    await served.apply(verify=VERIFY)
    await until(lambda: verified(served, digest))
    assert (await served.version()).startswith("1.0.0+")


async def test_what_is_not_signed_leaves_what_was_before(served: World, pusher: Pusher) -> None:
    signer, stranger = Signer.make(), Signer.make()
    good = await push(served, "1.0.0")
    await asyncio.to_thread(pusher.simple, good, (stranger, stranger.claim(good)), (signer, signer.claim(good)))
    await moved(pusher, good)
    await served.secret("keys", {"cosign.pub": signer.public})
    await served.apply(verify=VERIFY, interval="1s")
    await until(lambda: verified(served, good))
    bad = await push(served, "1.0.1")
    await moved(pusher, bad)
    await until(lambda: refused(served, f"no matching signatures were found for 'oci://{served.registry.host}"))
    assert "it is not signed" in (await condition(served, "SourceVerified"))[2]
    wrong: dict[str, tuple[Signer, str]] = {
        "none of the keys that are trusted has made it": (stranger, bad),
        "it is of another artifact": (signer, good),
    }
    for words, (who, digest) in wrong.items():
        await asyncio.to_thread(pusher.simple, bad, (who, who.claim(digest)))
        await until(lambda words=words: refused(served, words))
        await asyncio.to_thread(pusher.bundles, bad, who.bundle(digest))
        await until(lambda words=words: refused(served, f"of 2 signatures the last: {words}"))
        await asyncio.to_thread(pusher.bundles, bad)
    attested = signer.bundle(bad, predicate="https://slsa.dev/provenance/v1")
    await asyncio.to_thread(pusher.simple, bad)
    await asyncio.to_thread(pusher.bundles, bad, attested)
    await until(lambda: refused(served, "it states something else of an artifact than that it is signed"))
    assert (await served.version()).startswith("1.0.0+"), "what was verified before stays in use"

    body = await asyncio.to_thread(pusher.read, bad)
    await asyncio.to_thread(pusher.bundles, bad, attested, signer.message_bundle(body))
    await until(lambda: verified(served, bad))
    assert (await served.version()).startswith("1.0.1+")


async def test_without_keys_nothing_is_used(served: World, pusher: Pusher) -> None:
    signer = Signer.make()
    digest = await push(served, "1.0.0")
    await asyncio.to_thread(pusher.simple, digest, (signer, signer.claim(digest)))
    await moved(pusher, digest)
    await served.apply(verify=VERIFY)
    await until(lambda: refused(served, "keys' does not exist"))
    await served.secret("keys", {"cosign.key": signer.public})
    await until(lambda: refused(served, "keys' has no *.pub"))
    await served.secret("keys", {"cosign.pub": "x"})
    await until(lambda: refused(served, "cosign.pub is no public key in PEM that can be used"))
    assert "no matching signatures" in await served.version()
    await served.secret("keys", {"cosign.pub": signer.public})
    await until(lambda: verified(served, digest))


async def test_without_a_key_it_counts_who_has_signed_by_the_trusted_root(served: World, pusher: Pusher) -> None:
    """What cosign 3 leaves without a key, by a Sigstore of its own; the root is in a Secret, and nobody is asked."""
    own, digest = Sigstore(), await push(served, "1.0.0")
    await moved(pusher, digest)
    await asyncio.to_thread(pusher.bundles, digest, own.bundle(digest, subject=SUBJECT.replace("acme", "evil")))
    identity = {"issuer": f"^{ISSUER}$", "subject": "^https://github.com/acme/app/"}
    wanted = {"provider": "cosign", "matchOIDCIdentity": [identity], "trustedRootSecretRef": {"name": "root"}}
    await served.apply(verify=wanted, interval="1s")
    await until(lambda: refused(served, "root' does not exist"))
    await served.secret("root", {"else.json": "{}"})
    await until(lambda: refused(served, "root' has no trusted_root.json"))
    await served.secret("root", {"trusted_root.json": Sigstore().trusted_root().decode()})
    await until(lambda: refused(served, "of 1 signatures the last: "))
    await served.secret("root", {"trusted_root.json": own.trusted_root().decode()})
    await until(lambda: refused(served, "it is by https://github.com/evil/app/"))
    signer = Signer.make()
    await asyncio.to_thread(pusher.simple, digest, (signer, signer.claim(digest)))
    await until(lambda: refused(served, "it is no bundle, and without a key only those prove who has signed"))
    assert "no matching signatures" in await served.version()
    await asyncio.to_thread(pusher.bundles, digest, own.bundle(digest))
    await until(lambda: verified(served, digest))
    assert (await served.version()).startswith("1.0.0+")
    # Another root is another demand: what was verified by the first one does not stand for it.
    await served.secret("root", {"trusted_root.json": Sigstore().trusted_root().decode()})
    await until(lambda: refused(served, "of 2 signatures the last: "))


async def test_without_a_root_of_ones_own_it_counts_that_of_sigstores_public_service(
    served: World, pusher: Pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, digest = Sigstore(), await push(served, "1.0.0")
    await moved(pusher, digest)
    await asyncio.to_thread(pusher.bundles, digest, own.bundle(digest))
    identity = {"issuer": f"^{ISSUER}$", "subject": "^https://github.com/acme/app/"}
    await served.apply(verify={"provider": "cosign", "matchOIDCIdentity": [identity]}, interval="1s")
    await until(lambda: refused(served, "of 1 signatures the last: "))  # by another Sigstore than the public one
    monkeypatch.setattr(keyless, "public_root", own.trusted_root)
    await until(lambda: verified(served, digest))


@pytest.mark.parametrize(
    ("verify", "words"),
    [
        ({"provider": "notation", "secretRef": {"name": "keys"}}, "signatures of notation are not checked"),
        ({"provider": "cosign"}, "matchOIDCIdentity: without it a signature by anybody would count"),
        (
            {"provider": "cosign", "trustedRootSecretRef": {"name": "root"}},
            "matchOIDCIdentity: without it a signature by anybody would count",
        ),
        (
            {**VERIFY, "matchOIDCIdentity": [{"issuer": "i", "subject": "s"}]},
            "matchOIDCIdentity: says nothing of a signature with a key",
        ),
    ],
)
async def test_other_ways_of_signing_are_refused_by_name(served: World, verify: dict[str, Any], words: str) -> None:
    await served.apply(verify=verify)

    async def said() -> bool:
        ready = await condition(served, "Ready")
        return ready[:2] == ("False", "NotSupported") and words in ready[2]

    await until(said)


def release(namespace: str, version: str = "1.x", **verify: Any) -> HelmRelease:
    source = {"kind": "HelmRepository", "name": "charts"}
    spec = {"chart": "app", "version": version, "sourceRef": source, "verify": {**VERIFY, **verify}}
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {"interval": "5m", "chart": {"spec": spec}},
        }
    )


async def located(world: World, version: str = "1.x") -> str:
    assert world.sources is not None
    try:
        found = await world.sources.locate(release(world.namespace, version))
        return (await found.load()).version
    except (ArtifactPending, SourceNotReady, ChartError, ChartRepositoryUnavailable) as error:
        return error.message


async def test_a_chart_of_a_release_is_used_with_a_signature_and_not_without(served: World, pusher: Pusher) -> None:
    signer = Signer.make()
    digest = await push(served, "1.0.0")
    await served.secret("keys", {"cosign.pub": signer.public})
    repository = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": served.namespace},
        "spec": {
            "type": "oci",
            "url": served.registry.url(served.namespace),
            "interval": "1s",
            "secretRef": {"name": "login"},
            "certSecretRef": {"name": "certs"},
        },
    }
    await served.cluster.apply(repository, manager="test")

    async def gives(words: str) -> bool:
        return words in await located(served)

    await until(lambda: gives("it is not signed"))
    await asyncio.to_thread(pusher.simple, digest, (signer, signer.claim(digest)))
    await until(lambda: gives("1.0.0"))
    newer = await push(served, "1.1.0")

    async def told() -> bool:
        events = await served.cluster.list("", "Event", namespace=served.namespace)
        return any(f"/app@{newer}': it is not signed" in str(event.get("message")) for event in events)

    await until(told)
    assert await located(served) == "1.0.0", "what was verified before goes on to be what the range means"
    assert "it is not signed" in await located(served, "1.1.0")
    await asyncio.to_thread(pusher.bundles, newer, signer.bundle(newer))
    await until(lambda: gives("1.1.0"))
    await served.secret("keys", {"cosign.pub": Signer.make().public})
    await until(lambda: gives("none of the keys that are trusted has made it"))
