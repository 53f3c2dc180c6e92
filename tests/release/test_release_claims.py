"""Whose a Helm release is when several HelmReleases name it."""

from __future__ import annotations

from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.release.dependencies.release_owners import ReleaseIdentity, ReleaseOwners
from gitsync.release.wanted.claims import ObjectClaims


def helm_release(
    name: str, created: int = 0, *, deployed: str = "", deleting: bool = False, **spec: Any
) -> HelmRelease:
    """A HelmRelease of Helm release ``shared``; ``deployed`` is the status of the revision that it knows of."""
    metadata = {
        "name": name,
        "namespace": "apps",
        "creationTimestamp": f"2026-01-01T00:00:{created:02}Z",
        **({"deletionTimestamp": "2026-01-02T00:00:00Z"} if deleting else {}),
    }
    snapshot = {
        **{"name": "shared", "namespace": "apps", "version": 1, "status": deployed, "digest": "sha256:r"},
        **{"chartName": "c", "chartVersion": "1.0.0", "configDigest": "sha256:v"},
        **{"firstDeployed": "2026-01-01T00:00:00Z", "lastDeployed": "2026-01-01T00:00:00Z"},
    }
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": metadata,
            "spec": {
                "interval": "1h",
                "releaseName": "shared",
                "chart": {"spec": {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "r"}}},
                **spec,
            },
            "status": {"history": [snapshot]} if deployed else {},
        }
    )


def key(name: str) -> ObjectKey:
    return ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "apps", name)


def claims(*releases: HelmRelease) -> ReleaseOwners:
    made = ReleaseOwners()
    for release in releases:
        made.update(release.key, release)
    return made


def test_the_elder_has_it_unless_another_has_deployed_it() -> None:
    elder, younger = helm_release("b", 1), helm_release("a", 2)
    assert claims(elder, younger).winner(key("a")) == key("b")
    assert claims(elder, younger).winner(key("b")) is None
    assert claims(elder, helm_release("a", 2, deployed="deployed")).winner(key("b")) == key("a")
    assert claims(elder, helm_release("a", 2, deployed="uninstalled")).winner(key("a")) == key("b")
    assert claims(helm_release("b", 1), helm_release("a", 1)).winner(key("b")) == key("a"), "by name, at last"


def test_one_that_is_suspended_or_leaving_or_elsewhere_is_in_nobody_s_way() -> None:
    wanted = helm_release("new", 9)
    for other in (
        helm_release("old", 1, deployed="deployed", suspend=True),
        helm_release("old", 1, deployed="deployed", deleting=True),
        helm_release("old", 1, releaseName="other"),
        helm_release("old", 1, storageNamespace="elsewhere"),
        helm_release("old", 1, kubeConfig={"secretRef": {"name": "remote"}}),
    ):
        known = claims(other, wanted)
        assert known.winner(key("new")) is None
        assert known.winner(key("old")) is None
        left_to = key("old") if other.spec.suspend else None
        assert known.owner(ReleaseIdentity.of(wanted), but=key("new")) == left_to


def test_what_a_suspended_one_names_is_left_to_it_when_nobody_else_claims_it() -> None:
    asked = ReleaseIdentity.of(helm_release("old"))
    known = claims(helm_release("old", 1), helm_release("new", 2, suspend=True))
    assert known.owner(asked, but=key("old")) == key("new")
    known.update(key("other"), helm_release("other", 3))
    assert known.owner(asked, but=key("old")) == key("other")
    known.update(key("other"), None)
    known.update(key("new"), None)
    assert known.owner(asked, but=key("old")) is None


def test_what_is_claimed_no_more_is_free() -> None:
    known = claims(helm_release("old", 1), helm_release("new", 2))
    assert known.owner(ReleaseIdentity.of(helm_release("old")), but=key("old")) == key("new")

    known.update(key("old"), helm_release("old", 1, releaseName="other"))
    assert known.winner(key("new")) is None

    known.update(key("new"), None)
    assert known.owner(ReleaseIdentity.of(helm_release("old")), but=key("old")) is None


def test_what_a_release_has_that_is_about_to_be_removed_is_free_and_those_who_wait_hear_of_it() -> None:
    known, heard = ObjectClaims(), list[ObjectKey]()
    known.on_release.append(lambda found, cluster: heard.append(found))
    sync, old, thing = (
        Claimant("sync", "fleet"),
        Claimant.of_release(key("old")),
        ObjectKey("", "ConfigMap", "apps", "a"),
    )
    known.set(old, "deployed", [thing])
    assert known.claimants(thing) == [old]
    known.set_leaving(sync, [old])
    assert (known.claimants(thing), heard) == ([], [thing])
    known.set_leaving(sync, ())
    assert known.claimants(thing) == [old], "it was not removed after all"
