"""What keeps a Kustomization from being applied, and what it waits for. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import KUSTOMIZE_GROUP
from gitsync.errors import (
    CrossNamespaceRefused,
    DependencyCycle,
    DependencyMissing,
    DependencyNotReady,
    FieldNotSupported,
)
from gitsync.release.access import AccessRules
from gitsync.release.dependencies.order import Order, held_error
from gitsync.release.wanted.comingsync import cluster_named, cluster_of
from gitsync.sync.kustomization.reconcile.unsupported import check_access, refuse_unsupported
from gitsync.sync.kustomization.seen import seen_of
from gitsync.sync.kustomization.waiting.dependencies import BOOTSTRAP, blocked, stand_in
from gitsync.sync.kustomization.waiting.order import KustomizationOrder
from gitsync.sync.kustomization.waiting.outcome import Facts, KustomizationOutcomes
from gitsync.sync.outcome import Outcome
from gitsync.sync.policy import left_alone
from gitsync.sync.standing import Standing
from tests.sync.kustomizations import GIT, key, manifest


def ordered(
    known: Mapping[ObjectKey, Kustomization], releases: Mapping[ObjectKey, HelmRelease | None] | None = None
) -> Order:
    return Order.of(
        releases or {}, KustomizationOrder(lambda: known, lambda _: None, lambda _: "", lambda _: Outcome("moving"))
    )


def why(name: str, *manifests: Manifest, now: str = "main@sha1:2") -> str:
    """Why one of these waits; "" when it does not."""
    known: Mapping[ObjectKey, Manifest] = {ObjectKey.of(item): item for item in manifests}
    typed = {item: Kustomization.parse(found) for item, found in known.items()}
    found = blocked(typed[key(name)], ordered(typed).held.get(key(name)), known.get, lambda _: now, {})
    return found.error.message if found is not None else ""


def unready(name: str, reason: str, *needs: str) -> Manifest:
    """One that was not ready for this reason when it last said something."""
    found = manifest(name, "main@sha1:1", needs)
    found["status"]["conditions"][0].update(status="False", reason=reason, message=f"{name} failed")
    return found


def test_what_one_was_not_ready_for_before_counts_no_more_once_its_source_has_something_new() -> None:
    there = [unready("failed", "HealthCheckFailed"), unready("after", "DependencyNotReady", "failed")]
    there.append(unready("cycle", "DependencyCycle"))

    def phases(
        spoke: str, held: frozenset[ObjectKey] = frozenset(), healed: frozenset[ObjectKey] = frozenset()
    ) -> dict[str, str]:
        facts = Facts(
            {ObjectKey.of(item): Kustomization.parse(item) for item in there},
            lambda _: Outcome("moving"),
            lambda _: "main@sha1:2",
            lambda _: False,
            lambda _, revision: revision == spoke,
            held,
            lambda asked: asked == key("new"),
            healed.__contains__,
        )
        outcomes = KustomizationOutcomes(facts)
        return {name: outcomes.of(key(name)).phase for name in ("failed", "after", "cycle", "new", "nowhere")}

    just_applied = {"new": "moving", "nowhere": "failed"}
    before = {"failed": "moving", "after": "moving", "cycle": "moving", **just_applied}
    assert phases("main@sha1:1", frozenset({key("cycle")})) == before
    now = {"failed": "failed", "after": "waiting", "cycle": "failed", **just_applied}
    assert phases("main@sha1:2", frozenset({key("cycle")})) == now
    assert phases("main@sha1:2")["cycle"] == "moving"
    healed = phases("main@sha1:2", healed=frozenset({key("failed"), key("cycle")}))
    assert (healed["failed"], healed["after"]) == ("moving", "moving")


def test_it_waits_until_its_dependency_has_applied_what_the_source_has_now() -> None:
    apps = manifest("apps", needs=("infra",))
    assert why("apps", apps, manifest("infra", "main@sha1:2")) == ""
    assert why("apps", apps, manifest("infra")) == "dependency 'ns/infra' is not ready"
    old = why("apps", apps, manifest("infra", "main@sha1:1"))
    assert old == "dependency 'ns/infra' is not ready: it has yet to apply main@sha1:2"
    changed = manifest("infra", "main@sha1:2")
    changed["metadata"]["generation"] = 2
    assert why("apps", apps, changed) == "dependency 'ns/infra' is not ready"


def test_the_sync_of_the_settings_stands_in_for_the_kustomization_that_flux_would_have() -> None:
    """As far as it has applied the commit that there is now."""
    apps = manifest("apps", dependsOn=[{"name": "flux-system", "namespace": "flux-system"}])

    def why_with(standing: Standing, now: str = "main@sha1:2") -> str:
        known: Mapping[ObjectKey, Manifest] = {BOOTSTRAP: stand_in(standing)}
        found = blocked(Kustomization.parse(apps), None, known.get, lambda _: now, {})
        return found.error.message if found is not None else ""

    done = Standing("ReconciliationSucceeded", "Applied revision: main@sha1:2", revision="main@sha1:2")
    assert why_with(done) == ""
    assert why_with(done, "main@sha1:3").endswith("is not ready: it has yet to apply main@sha1:3")
    failed = replace(done, reason="ReconciliationFailed", message="ConfigMap/a: no right")
    assert why_with(failed) == "dependency 'flux-system/flux-system' is not ready"


def test_one_that_is_suspended_holds_up_those_of_its_own_source_alone() -> None:
    elsewhere = {"kind": "GitRepository", "name": "other"}
    infra = manifest("infra", "main@sha1:1", suspend=True)
    assert why("apps", manifest("apps", needs=("infra",), sourceRef=elsewhere), infra) == ""
    waits = "dependency 'ns/infra' is not ready: it has yet to apply main@sha1:2, and is suspended"
    assert why("apps", manifest("apps", needs=("infra",)), infra) == waits


def test_that_it_is_ready_for_another_spec_is_news_though_revision_and_words_are_the_same() -> None:
    done = manifest("infra", "latest@sha256:1")
    lags = {**done, "metadata": {**done["metadata"], "generation": 2}}
    caught_up = {**lags, "status": {**done["status"], "observedGeneration": 2}}
    caught_up["status"]["conditions"] = [{**done["status"]["conditions"][0], "observedGeneration": 2}]
    assert seen_of(lags, None) != seen_of(caught_up, None)
    assert seen_of(done, None) == seen_of(json.loads(json.dumps(done)), None)


def test_what_is_missing_and_cycles_are_named() -> None:
    apps = manifest("apps", needs=("infra", "more"))
    known = {ObjectKey.of(apps): apps}
    found = blocked(Kustomization.parse(apps), None, known.get, lambda _: "", {})
    assert found is not None
    assert isinstance(found.error, DependencyMissing)
    assert found.on == {key("infra"), key("more")}
    coming = blocked(
        Kustomization.parse(apps), None, known.get, lambda _: "", {}, {key("infra"), key("more")}.__contains__
    )
    assert coming is not None
    assert isinstance(coming.error, DependencyNotReady)
    assert coming.error.message.startswith("dependency 'ns/infra' is not ready: it is yet to be applied; ")
    assert coming.on == found.on
    left, right = manifest("left", needs=("right",)), manifest("right", needs=("left",))
    assert "ns/left -> ns/right -> ns/left" in why("left", left, right)
    held = ordered({ObjectKey.of(it): Kustomization.parse(it) for it in (left, right)}).held
    cycle = blocked(Kustomization.parse(left), held[key("left")], known.get, lambda _: "", {})
    assert cycle is not None
    assert isinstance(cycle.error, DependencyCycle)


def test_a_cycle_through_what_it_waits_for_holds_the_release_and_not_the_one_that_brings_its_mend() -> None:
    infra = manifest("infra", wait=True)
    infra["status"]["inventory"] = {"entries": [{"id": "ns_app_helm.toolkit.fluxcd.io_HelmRelease", "v": "v2"}]}
    app = HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": "ns"},
            "spec": {
                "interval": "5m",
                "chart": {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "apps"}}},
                "dependsOn": [{"kind": "Kustomization", "name": "infra"}],
            },
        }
    )
    order = ordered({key("infra"): Kustomization.parse(infra)}, {app.key: app})
    assert order.held.keys() == {app.key}
    error = held_error(order.held[app.key])
    cycle = "HelmRelease/ns/app -> Kustomization/ns/infra -> HelmRelease/ns/app"
    assert error.message.startswith(f"dependency cycle: {cycle}")
    assert error.hint == "remove the dependsOn that leads to Kustomization/ns/infra: it is ready only when " + (
        "HelmRelease/ns/app is"
    )
    infra["spec"]["wait"] = False
    assert not ordered({key("infra"): Kustomization.parse(infra)}, {app.key: app}).held


def test_the_sync_of_the_settings_is_in_no_cycle_with_who_depends_on_its_kustomization() -> None:
    known = {key("root"): Kustomization.parse(brings("root", "low", wait=True))}
    known[key("low")] = Kustomization.parse(manifest("low", needs=("root",)))
    order = KustomizationOrder(
        lambda: known, lambda _: None, lambda _: "", lambda _: Outcome("moving"), lambda it: it.key == key("root")
    )
    assert not Order.of({}, order).held


def brings(name: str, *inside: str, needs: tuple[str, ...] = (), **spec: Any) -> Manifest:
    """One that has applied these Kustomizations."""
    found = manifest(name, needs=needs, **spec)
    ids = [f"ns_{it}_kustomize.toolkit.fluxcd.io_Kustomization" for it in inside]
    found["status"]["inventory"] = {"entries": [{"id": it, "v": "v1"} for it in ids]}
    found["metadata"]["annotations"] = {"gitsync.dev/origin": f"clusters/{name}.yaml:1:1"}
    return found


def held_among(*manifests: Manifest) -> dict[str, str]:
    """Who is held, with the text of the cycle."""
    typed = {ObjectKey.of(it): Kustomization.parse(it) for it in manifests}
    return {it.name: held.cycle.explain() for it, held in ordered(typed).held.items()}


def test_a_cycle_across_levels_holds_who_depends_and_not_who_waits_for_what_it_has_applied() -> None:
    """``top`` waits for ``mid``, which waits for ``low``, which depends on ``top``; ``behind`` depends on ``mid``."""
    low = manifest("low", needs=("top",))
    low["metadata"]["annotations"] = {"gitsync.dev/depends-on-origin": "mid/low.yaml:7"}
    top, mid = brings("top", "mid", wait=True), brings("mid", "low", wait=True)
    held = held_among(top, mid, low, manifest("behind", needs=("mid",)), manifest("free"))
    assert held.keys() == {"low", "behind"}
    assert held["low"] == (
        "ns/low -> ns/top at mid/low.yaml:7; ns/top -> ns/mid at clusters/top.yaml:1; "
        "ns/mid -> ns/low at clusters/mid.yaml:1"
    )
    assert held_among(top, mid, manifest("low", needs=("top",), suspend=True)) == {}
    assert held_among(brings("top", "mid", wait=True, suspend=True), mid, low) == {}
    assert held_among(brings("top", "mid"), mid, low) == {}


def test_a_health_check_of_who_depends_on_it_is_a_cycle() -> None:
    check = {"apiVersion": f"{KUSTOMIZE_GROUP}/v1", "kind": "Kustomization", "name": "low", "namespace": "ns"}
    top = brings("top", healthChecks=[check])
    assert held_among(top, manifest("low", needs=("top",))).keys() == {"low"}
    assert held_among(top, manifest("low")) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decryption.serviceAccountName", {"provider": "sops", "serviceAccountName": "team"}),
    ],
)
def test_a_field_that_is_not_honoured_is_refused_by_name(field: str, value: Any) -> None:
    refuse_unsupported(Kustomization.parse(manifest("a", wait=True, timeout="1m", targetNamespace="x")))
    with pytest.raises(FieldNotSupported, match=f"spec.{field}"):
        refuse_unsupported(Kustomization.parse(manifest("a", **{field.partition(".")[0]: value})))


def test_nobody_gets_more_rights_by_a_kustomization_than_settings_give_him() -> None:
    elsewhere = Kustomization.parse(manifest("a", sourceRef={**GIT, "namespace": "other"}))
    check_access(elsewhere, AccessRules())
    with pytest.raises(CrossNamespaceRefused, match="cannot access GitRepository/other/fleet"):
        check_access(elsewhere, AccessRules(cross_namespace_refs=False))
    asks = {"name": "x", "namespace": "other", "readyExpr": "true"}
    asking = Kustomization.parse(manifest("a", dependsOn=[asks]))
    check_access(asking, AccessRules())
    with pytest.raises(CrossNamespaceRefused, match="a readyExpr cannot read Kustomization/other/x"):
        check_access(asking, AccessRules(cross_namespace_refs=False))


@pytest.mark.parametrize(
    ("wanted", "found", "why"),
    [
        ({}, None, ""),
        ({}, {}, ""),
        ({"kustomize.toolkit.fluxcd.io/ssa": "Ignore"}, None, "left alone by kustomize.toolkit.fluxcd.io/ssa"),
        ({}, {"kustomize.toolkit.fluxcd.io/ssa": "ignore"}, "left alone by kustomize.toolkit.fluxcd.io/ssa"),
        ({}, {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}, "left alone by kustomize.toolkit.fluxcd.io/rec"),
        ({"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}, None, ""),
        ({"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"}, {}, "is there, and left as it is"),
        ({"kustomize.toolkit.fluxcd.io/ssa": "Merge"}, {}, ""),
    ],
)
def test_annotations_of_an_object_say_whether_it_is_applied(
    wanted: dict[str, str], found: dict[str, str] | None, why: str
) -> None:
    live = None if found is None else {"metadata": {"annotations": found}}
    told = left_alone({"metadata": {"annotations": wanted}}, live)
    assert why in told
    assert bool(told) is bool(why)


def test_a_cluster_is_named_by_all_that_its_kubeconfig_is_found_by() -> None:
    """Alike for one that was read and one that nobody may be able to read; "" is the agent's own alone."""
    ways: list[dict[str, Any]] = [
        {},
        {"kubeConfig": {"secretRef": {"name": "fleet"}}},
        {"kubeConfig": {"secretRef": {"name": "fleet", "key": "prod"}}},
        {"kubeConfig": {"secretRef": {"name": "fleet", "key": "staging"}}},
        {"kubeConfig": {"configMapRef": {"name": "fleet"}}},
    ]
    written = [manifest("a", **way) for way in ways]
    names = [cluster_of(Kustomization.parse(item)) for item in written]
    assert names == [cluster_named("ns", item["spec"].get("kubeConfig")) for item in written]
    assert len(set(names)) == len(ways)
    assert [not name for name in names] == [True, False, False, False, False]
