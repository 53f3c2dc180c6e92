"""What a commit changes, in which order, and what it may not delete without being asked twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey, Origin
from gitsync.apply.ownership import prune_disabled, why_not_pruned
from gitsync.graph import Edge, Graph
from gitsync.manifests import DesiredObject, parse_file
from gitsync.sync.owner import Owner, stamped
from gitsync.sync.plan import mass_prune, needs_kept, prune_prerequisites, staged, to_prune, verdict_of
from gitsync.sync.policy import is_forced, is_left_once_there, left_alone
from gitsync.sync.storage.inventory import UNKNOWN, Entry, Inventory

OWNER = Owner("fleet", "gitsync-system", "https://git.example/fleet.git")
COMMIT = CommitInfo("a" * 40, "Ann", "first")


def desired(text: str) -> DesiredObject:
    content = parse_file("a.yaml", text.encode())
    assert not content.errors
    (item,) = content.objects
    return item


CONFIG = desired("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x}\ndata: {key: '1'}\n")


def entry(item: DesiredObject, digest: str | None = None) -> Entry:
    return Entry(item.key, item.manifest["apiVersion"], item.digest if digest is None else digest, "c", "a.yaml:1")


def begun(item: DesiredObject, commit: str) -> Entry:
    """Of a sync that was cut short when it was applying this."""
    return replace(entry(item, ""), commit=commit, begun=item.digest)


def live(item: DesiredObject, **changes: Any) -> Manifest:
    manifest = stamped(item.manifest, OWNER, COMMIT, item.origin)
    return {**manifest, "metadata": {**manifest["metadata"], "uid": "1", "resourceVersion": "7"}, **changes}


def test_an_object_that_is_as_it_was_applied_is_left_alone() -> None:
    assert verdict_of(CONFIG, entry(CONFIG), live(CONFIG), OWNER).verdict == "unchanged"


@pytest.mark.parametrize(
    ("known", "found", "verdict", "why"),
    [
        (None, None, "new", "new in Git"),
        (entry(CONFIG, ""), None, "new", "new in Git"),
        (entry(CONFIG), None, "new", "vanished from the cluster"),
        (entry(CONFIG, "other"), live(CONFIG), "changed", "changed in Git"),
        (begun(CONFIG, COMMIT.id), live(CONFIG), "drifted", "the sync that applied it was cut short"),
        (begun(CONFIG, "another"), live(CONFIG), "changed", "changed in Git"),
        (None, live(CONFIG), "changed", "adopted: was in the cluster already"),
        (entry(CONFIG), live(CONFIG, data={"key": "2"}), "drifted", "changed in the cluster: data.key"),
        (entry(CONFIG), CONFIG.manifest, "drifted", "lost its owner annotation in the cluster"),
    ],
)
def test_what_is_to_be_done_follows_from_git_inventory_and_cluster(
    known: Entry | None, found: Manifest | None, verdict: str, why: str
) -> None:
    step = verdict_of(CONFIG, known, found, OWNER)
    assert (step.verdict, step.why) == (verdict, why)


def test_an_object_of_another_sync_is_not_touched() -> None:
    theirs = stamped(
        CONFIG.manifest, Owner("other", "gitsync-system", "https://git.example/o.git"), COMMIT, CONFIG.origin
    )
    step = verdict_of(CONFIG, None, theirs, OWNER)
    assert (step.verdict, step.applies) == ("foreign", False)
    assert "'gitsync-system/other'" in step.why


def test_a_sync_of_the_same_name_in_another_namespace_is_another_one() -> None:
    theirs = Owner("fleet", "team-b", "https://git.example/b.git")
    found = stamped(CONFIG.manifest, theirs, COMMIT, CONFIG.origin)
    assert not OWNER.owns(found)
    assert OWNER.other(found) == "team-b/fleet"
    assert verdict_of(CONFIG, entry(CONFIG), found, OWNER).verdict == "foreign"


def test_marks_of_gitsync_0_1_are_without_a_namespace() -> None:
    found = stamped(CONFIG.manifest, replace(OWNER, namespace=""), COMMIT, CONFIG.origin)
    del found["metadata"]["labels"]["gitsync.dev/sync-namespace"]
    assert OWNER.owns(found)
    assert not OWNER.other(found)
    assert verdict_of(CONFIG, entry(CONFIG), found, OWNER).why == "is marked as by gitsync 0.1"
    other = replace(OWNER, name="other")
    assert not other.owns(found)
    assert other.other(found) == "fleet"


def by_flux(item: DesiredObject, name: str = "apps") -> Manifest:
    """An object as Flux's kustomize-controller has applied it."""
    labels = {"kustomize.toolkit.fluxcd.io/name": name, "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    return {**item.manifest, "metadata": {**item.manifest["metadata"], "labels": labels}}


APPS = ObjectKey("kustomize.toolkit.fluxcd.io", "Kustomization", "flux-system", "apps")


def test_what_flux_has_applied_for_a_kustomization_is_its_syncs_until_a_sync_has_marked_it() -> None:
    apps = replace(OWNER, kustomization=APPS)
    assert apps.has(by_flux(CONFIG))
    assert not apps.owns(by_flux(CONFIG))
    assert not apps.has(by_flux(CONFIG, "other"))
    assert not OWNER.has(by_flux(CONFIG))
    assert not OWNER.has(CONFIG.manifest)
    theirs = stamped(by_flux(CONFIG), Owner("other", "team-b", ""), COMMIT, CONFIG.origin)
    assert not apps.has(theirs)
    copy = stamped(CONFIG.manifest, apps, COMMIT, CONFIG.origin)
    copy["metadata"]["name"] = "copy"
    assert not apps.has(copy)
    step = verdict_of(CONFIG, entry(CONFIG, UNKNOWN), by_flux(CONFIG), apps)
    assert (step.verdict, step.why) == ("changed", "adopted: was in the cluster already")


def test_what_a_kustomization_had_as_a_sync_of_its_own_is_the_syncs_that_it_stands_for_now() -> None:
    """The Kustomization of the root named another directory for a while."""
    root, apps = replace(OWNER, kustomization=APPS), Owner(APPS.name, APPS.namespace, "", kustomization=APPS)
    had = stamped(CONFIG.manifest, apps, COMMIT, CONFIG.origin)
    assert root.has(had)
    assert not root.other(had)
    step = verdict_of(CONFIG, None, had, root)
    assert (step.verdict, step.why) == ("changed", "adopted: was in the cluster already")
    assert OWNER.other(had) == "flux-system/apps", "it stands for nobody"
    assert not OWNER.has(had)


def test_flux_finds_its_labels_on_what_a_kustomization_has_applied() -> None:
    apps = replace(OWNER, kustomization=APPS)
    found = stamped(CONFIG.manifest, apps, COMMIT, CONFIG.origin)
    assert by_flux(CONFIG)["metadata"]["labels"].items() <= found["metadata"]["labels"].items()
    assert verdict_of(CONFIG, entry(CONFIG), found, apps).verdict == "unchanged"
    step = verdict_of(CONFIG, entry(CONFIG), live(CONFIG), apps)
    assert (step.verdict, step.why) == ("drifted", "lacks the labels by which Flux knows it")
    assert verdict_of(CONFIG, entry(CONFIG), found, OWNER).verdict == "unchanged"


def test_the_version_that_an_object_is_written_in_is_no_drift() -> None:
    release = desired(
        "apiVersion: helm.toolkit.fluxcd.io/v2beta1\nkind: HelmRelease\nmetadata: {name: a, namespace: x}\n"
        "spec: {interval: 5m, chart: {spec: {chart: a, sourceRef: {kind: HelmRepository, name: b}}}}\n"
    )
    found = live(release, apiVersion="helm.toolkit.fluxcd.io/v2")
    assert verdict_of(release, entry(release), found, OWNER).verdict == "unchanged"


def test_an_owner_annotation_that_was_copied_along_owns_nothing() -> None:
    original = live(CONFIG)
    copy = {**original, "metadata": {**original["metadata"], "name": "copy"}}
    assert OWNER.owns(original)
    assert not OWNER.owns(copy)
    assert not OWNER.other(copy)


def test_a_stamp_does_not_change_the_manifest_and_names_commit_place_and_dependencies() -> None:
    release = desired(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: a, namespace: x, finalizers: [z]}\n"
        "spec: {interval: 5m, chart: {spec: {chart: a, sourceRef: {kind: HelmRepository, name: b}}}}\n"
    )
    before = repr(release.manifest)
    edges = [Origin("a b.yaml", 3), Origin("c", 4)]
    metadata = stamped(release.manifest, OWNER, COMMIT, release.origin, edges, finalized=True)["metadata"]
    assert repr(release.manifest) == before
    assert metadata["finalizers"] == ["z", "finalizers.fluxcd.io"]
    assert metadata["annotations"]["gitsync.dev/commit"] == COMMIT.id
    assert metadata["annotations"]["gitsync.dev/origin"] == "a.yaml:1:1"
    assert metadata["annotations"]["gitsync.dev/depends-on-origin"] == "a b.yaml:3\nc:4"


@pytest.mark.parametrize("name", ["gitsync.dev/prune", "kustomize.toolkit.fluxcd.io/prune"])
def test_an_object_can_ask_not_to_be_pruned(name: str) -> None:
    assert prune_disabled({"metadata": {"name": "a", "annotations": {name: "Disabled"}}})
    assert not prune_disabled({"metadata": {"name": "a", "annotations": {name: "enabled"}}})


@pytest.mark.parametrize("field", ["annotations", "labels"])
def test_what_flux_lets_an_object_say_of_itself_may_be_an_annotation_or_a_label(field: str) -> None:
    """As Flux documents it, in whatever case; ``reconcile: disabled`` keeps an object from being pruned, too."""

    def saying(name: str, value: str) -> Manifest:
        return {"metadata": {"name": "a", field: {f"kustomize.toolkit.fluxcd.io/{name}": value}}}

    assert why_not_pruned(saying("prune", "Disabled")) == "its prune annotation says disabled"
    assert why_not_pruned(saying("reconcile", "disabled")) == "its reconcile annotation says disabled"
    assert not why_not_pruned(saying("prune", "Enabled"))
    assert left_alone(saying("ssa", "Ignore"), None)
    assert left_alone({"metadata": {"name": "a"}}, saying("reconcile", "Disabled"))
    assert is_left_once_there(saying("ssa", "IfNotPresent"))
    assert is_forced(saying("force", "Enabled"))
    assert not left_alone(saying("ssa", "Merge"), None)


def key(kind: str, name: str, group: str = "") -> ObjectKey:
    return ObjectKey(group, kind, "x", name)


RELEASE = "helm.toolkit.fluxcd.io"
KEYS = {
    "Namespace": ObjectKey("", "Namespace", "", "x"),
    "CRD": ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", "x"),
    "ConfigMap": key("ConfigMap", "a"),
    "Repository": key("HelmRepository", "r", "source.toolkit.fluxcd.io"),
    "redis": key("HelmRelease", "redis", RELEASE),
    "backend": key("HelmRelease", "backend", RELEASE),
    "loop-a": key("HelmRelease", "loop-a", RELEASE),
    "loop-b": key("HelmRelease", "loop-b", RELEASE),
}
RELEASES = [KEYS[name] for name in ("backend", "redis", "loop-a", "loop-b")]
ORDER = Graph(
    RELEASES,
    [
        Edge(KEYS["backend"], KEYS["redis"]),
        Edge(KEYS["loop-a"], KEYS["loop-b"]),
        Edge(KEYS["loop-b"], KEYS["loop-a"]),
    ],
)
NAMES = {item: name for name, item in KEYS.items()}


def test_namespaces_and_crds_come_first_and_releases_after_what_they_depend_on() -> None:
    steps = [
        verdict_of(DesiredObject(item, {"apiVersion": "v1"}, Origin("a"), "d"), None, None, OWNER)
        for item in reversed(KEYS.values())
    ]
    stages = [sorted(NAMES[step.key] for step in stage) for stage in staged(steps, ORDER)]
    assert stages == [
        ["Namespace"],
        ["CRD"],
        ["ConfigMap"],
        ["Repository"],
        ["redis"],
        ["backend"],
        ["loop-a", "loop-b"],
    ]


def test_what_depends_on_a_release_is_gone_before_it_and_a_cycle_can_be_removed() -> None:
    entries = [Entry(item, "v1", "d", "c", "o") for item in KEYS.values()]
    needs = prune_prerequisites(entries, ORDER, {KEYS["redis"]: KEYS["Repository"]})
    named = {NAMES[item]: {NAMES[other] for other in others} for item, others in needs.items()}
    releases = {"redis", "backend", "loop-a", "loop-b"}
    assert named == {
        "backend": set(),
        "redis": {"backend"},
        "loop-a": set(),
        "loop-b": set(),
        "ConfigMap": releases,
        "Repository": {"redis"},
        "CRD": {"ConfigMap", "Repository", *releases},
        "Namespace": {"ConfigMap", "Repository", *releases},
    }


def test_what_is_elsewhere_is_pruned_without_waiting_for_a_release() -> None:
    elsewhere = ObjectKey("", "ConfigMap", "y", "a")
    entries = [Entry(item, "v1", "d", "c", "o") for item in (KEYS["redis"], elsewhere)]
    assert prune_prerequisites(entries, ORDER, {})[elsewhere] == frozenset()


def test_rights_go_after_what_may_be_removed_by_them_wherever_that_is() -> None:
    rbac = "rbac.authorization.k8s.io"
    rights = [ObjectKey(rbac, "ClusterRoleBinding", "", "a"), ObjectKey(rbac, "RoleBinding", "y", "a")]
    tenant = ObjectKey("kustomize.toolkit.fluxcd.io", "Kustomization", "x", "tenant")
    entries = [Entry(item, "v1", "d", "c", "o") for item in (KEYS["redis"], tenant, *rights)]
    needs = prune_prerequisites(entries, ORDER, {})
    assert {needs[right] for right in rights} == {frozenset({KEYS["redis"], tenant})}
    # What stays for somebody else's sake does not keep the rights that Git takes away; those beside it it may need.
    assert not any(needs_kept(right, tenant) for right in rights)
    assert needs_kept(ObjectKey(rbac, "RoleBinding", "x", "a"), tenant)


def test_the_rights_of_a_sync_that_may_work_by_them_go_after_all_else() -> None:
    rbac = "rbac.authorization.k8s.io"
    right, account, plain = ObjectKey(rbac, "Role", "y", "a"), key("ServiceAccount", "a"), key("ConfigMap", "a")
    entries = [Entry(item, "v1", "d", "c", "o") for item in (plain, right, account)]
    needs = prune_prerequisites(entries, ORDER, {}, rights_last=True)
    assert needs == {plain: frozenset(), account: frozenset({plain}), right: frozenset({plain, account})}


def many_to_prune(count: int) -> Callable[[], object]:
    """A third each of releases, of objects beside them, and of other namespaces' objects; with Namespaces, CRDs and
    sources among them."""
    third = range(count // 3)
    releases = [key("HelmRelease", f"r{number}", RELEASE) for number in third]
    repositories = [key("HelmRepository", f"s{number}", "source.toolkit.fluxcd.io") for number in range(50)]
    sources = {one: repositories[number % 50] for number, one in enumerate(releases)}
    plain = [key("ConfigMap", f"c{number}") for number in third]
    elsewhere = [ObjectKey("", "ConfigMap", f"n{number % 50}", f"e{number}") for number in third]
    namespaces = [ObjectKey("", "Namespace", "", f"n{number}") for number in range(50)]
    crds = [ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", f"d{number}") for number in range(50)]
    keys = [*releases, *plain, *elsewhere, *namespaces, *crds, *repositories]
    entries = [Entry(item, "v1", "d", "c", "o") for item in keys]
    order = Graph(releases, [Edge(one, other) for other, one in pairwise(releases)])
    return lambda: prune_prerequisites(entries, order, sources)


def seconds(work: Callable[[], object]) -> float:
    """Of a processor."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def test_eight_times_as_much_to_prune_takes_about_eight_times_as_long() -> None:
    few, many = many_to_prune(1_500), many_to_prune(12_000)
    # The best of some rounds, for the machine has other work. Comparing each with each takes 64 times as long.
    assert min(seconds(many) for _ in range(5)) < 30 * min(seconds(few) for _ in range(5))


def inventory(number: int) -> Inventory:
    return Inventory("c").with_entries(Entry(key("ConfigMap", str(n)), "v1", "d", "c", "o") for n in range(number))


@pytest.mark.parametrize(
    ("there", "kept", "held"),
    [
        (0, 0, False),
        (1, 0, False),  # a sync of one object may lose it
        (2, 0, True),  # everything
        (10, 0, True),
        (10, 1, False),  # of 10 objects nine may go
        (11, 5, True),  # six of eleven are more than half
        (12, 6, False),  # half is not more than half
        (12, 5, True),
        (100, 100, False),
    ],
)
def test_a_commit_that_deletes_everything_or_most_of_many_is_held(there: int, kept: int, held: bool) -> None:
    all_of_them = inventory(there)
    prune = to_prune(all_of_them, {key("ConfigMap", str(n)) for n in range(kept)})
    assert len(prune) == there - kept
    assert bool(mass_prune(prune, all_of_them)) == held
