"""Which artifact a release takes its chart from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.sources import GitRepository
from gitsync.errors import ArtifactPending, SourceNotReady
from gitsync.git import GitReference, GitSource, Mirror
from gitsync.sources.resolve import artifacts as module
from gitsync.sources.resolve.artifacts import BOOTSTRAP, Artifact, Artifacts, Head, SyncedRepository
from gitsync.tree import Tree
from tests.git.git_world import Repository

FLEET = "https://git.example/fleet.git"
APPS = "https://git.example/apps.git"


async def nothing(blob_ids: Sequence[str]) -> dict[str, bytes]:
    return {}


def artifact(commit: str, **git_repositories: str) -> Artifact:
    declared = {source(name): git_repository(name, url) for name, url in git_repositories.items()}
    return Artifact(CommitInfo(commit), Tree(commit, (), nothing), declared)


def git_repository(name: str, url: str, **spec: Any) -> GitRepository:
    return GitRepository.parse(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"interval": "5m", "url": url, **spec},
        }
    )


def source(name: str, kind: str = "GitRepository") -> ObjectKey:
    return ObjectKey("source.toolkit.fluxcd.io", kind, "default", name)


def release(name: str = "app", *, ref: str = "flux-system", sync: str = "", stamp: str = "") -> HelmRelease:
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"gitsync.dev/sync": sync, "gitsync.dev/sync-namespace": "gitsync-system"},
                "annotations": {"gitsync.dev/commit": stamp},
            },
            "spec": {
                "interval": "5m",
                "chart": {"spec": {"chart": "./app", "sourceRef": {"kind": "GitRepository", "name": ref}}},
            },
        }
    )


def commit_of(artifacts: Artifacts, found: HelmRelease) -> str:
    return artifacts.artifact_of(found).commit.id


@pytest.fixture
def artifacts() -> Artifacts:
    return Artifacts()


@pytest.fixture
def fleet(artifacts: Artifacts) -> SyncedRepository:
    return artifacts.add("gitsync-system/fleet", Head(FLEET))


def test_a_release_that_a_commit_changes_gets_its_chart_together_with_its_own_change(
    artifacts: Artifacts, fleet: SyncedRepository
) -> None:
    fleet.carry_out(artifact("c1"), ())
    changed, other = release("changed", sync="fleet", stamp="c1"), release("other", sync="fleet", stamp="c1")
    fleet.carry_out(artifact("c2"), [changed.key])
    assert (commit_of(artifacts, changed), commit_of(artifacts, other)) == ("c1", "c2")
    assert commit_of(artifacts, release("changed", sync="fleet", stamp="c2")) == "c2", "the watch may be first"
    fleet.reached(changed.key)
    assert commit_of(artifacts, changed) == "c2"


def test_a_commit_that_supersedes_another_finds_each_release_where_that_one_left_it(
    artifacts: Artifacts, fleet: SyncedRepository
) -> None:
    fleet.carry_out(artifact("c1"), ())
    reached, missed = release("reached", stamp="c1"), release("missed", stamp="c1")
    fleet.carry_out(artifact("c2"), [reached.key, missed.key])
    fleet.reached(reached.key)
    fleet.carry_out(artifact("c3"), [reached.key, missed.key])
    assert commit_of(artifacts, release("reached", stamp="c2")) == "c2"
    assert commit_of(artifacts, missed) == "c1"


def test_after_a_start_a_release_waits_for_the_first_commit_and_is_woken_by_it(
    artifacts: Artifacts, fleet: SyncedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    known = [release("asked", sync="fleet"), release("did-not-ask", sync="fleet"), release("foreign", sync="other")]
    artifacts.subscribe(lambda found: woken.extend(it.key.name for it in known if artifacts.wakes(found, it)))
    with pytest.raises(ArtifactPending) as pending:
        artifacts.artifact_of(known[0])
    assert pending.value.retry_after == pytest.approx(module.FIRST_COMMIT, abs=1.0)
    monkeypatch.setattr(artifacts, "_since", -1e9)
    with pytest.raises(ArtifactPending, match="no commit of the repository has been carried out yet") as pending:
        artifacts.artifact_of(known[0])
    assert pending.value.retry_after is None, "the commit wakes it"
    fleet.carry_out(artifact("c1"), ())
    assert woken == ["asked", "foreign"]
    assert commit_of(artifacts, known[0]) == "c1"
    fleet.carry_out(artifact("c2"), ())
    assert woken == ["asked", "foreign", "foreign"]


def test_a_release_that_the_first_commit_changes_waits_until_the_commit_has_reached_it(
    artifacts: Artifacts, fleet: SyncedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "_since", -1e9)
    fleet.carry_out(artifact("c2"), [release().key])
    with pytest.raises(ArtifactPending):
        artifacts.artifact_of(release(stamp="c1"))
    assert commit_of(artifacts, release(stamp="c2")) == "c2"


def test_where_namespaces_are_kept_apart_nobody_gets_a_synced_repository_by_naming_it() -> None:
    strict = Artifacts(is_shared=False)
    fleet = strict.add("gitsync-system/fleet", Head(FLEET))
    his = git_repository("his", FLEET)
    labels = {"gitsync.dev/sync": "fleet", "gitsync.dev/sync-namespace": "gitsync-system"}
    forged = his.model_copy(update={"metadata": his.metadata.model_copy(update={"labels": labels})})
    own = source("flux-system")._replace(namespace="gitsync-system")
    live = {source("his"): his, source("forged"): forged, source("brought"): git_repository("brought", FLEET)}
    strict.live = live.get
    assert strict.meant_by(source("forged")) is fleet, "it is to say so before the first commit, and has nothing by it"
    fleet.carry_out(artifact("c1", brought=FLEET), ())
    meant = [name for name in ("his", "forged", "brought", "flux-system", "fleet") if strict.find(source(name))]
    assert meant == ["brought"]
    assert [key.name for key in live if strict.meant_by(key)] == ["brought"]
    assert strict.find(own) is fleet
    with pytest.raises(SourceNotReady, match="GitRepository 'default/flux-system' does not exist") as caught:
        strict.artifact_of(release())
    assert "the repository that --repo names" in caught.value.hint, "nobody has to have an operator for it"


def test_two_repositories_are_told_apart_by_url_then_by_name_then_by_who_brought_the_release(
    artifacts: Artifacts, fleet: SyncedRepository
) -> None:
    apps = artifacts.add("gitsync-system/apps", Head(APPS))
    fleet.carry_out(artifact("f1", charts="https://git.example/apps", **{"apps": FLEET}), ())
    with pytest.raises(ArtifactPending):
        artifacts.artifact_of(release(ref="charts"))
    apps.carry_out(artifact("a1"), ())
    assert commit_of(artifacts, release(ref="charts")) == "a1", "by the URL of a GitRepository of the other's commit"
    assert commit_of(artifacts, release(ref="apps")) == "f1", "a URL says more than a name"
    assert commit_of(artifacts, release(ref="fleet", sync="apps")) == "f1"
    assert commit_of(artifacts, release(sync="apps")) == "a1"
    assert commit_of(artifacts, release(sync="fleet")) == "f1"
    assert commit_of(artifacts, release()) == "f1", "the first one, when nobody says which"
    fleet.carry_out(artifact("f2"), ())
    assert commit_of(artifacts, release(sync="apps")) == "a1"


def test_a_source_that_is_no_synced_repository_is_refused_once_all_have_said_what_they_mean(
    artifacts: Artifacts, fleet: SyncedRepository
) -> None:
    with pytest.raises(ArtifactPending):  # the first commit may bring a GitRepository of that name
        artifacts.artifact_of(release(ref="elsewhere"))
    fleet.carry_out(artifact("c1"), ())
    with pytest.raises(SourceNotReady, match="GitRepository 'default/elsewhere' does not exist"):
        artifacts.artifact_of(release(ref="elsewhere"))
    fleet.carry_out(artifact("c1", elsewhere="https://git.example/other.git"), ())
    assert artifacts.find(source("elsewhere")) is None
    assert artifacts.declared(source("elsewhere")) is not None, "it is a repository of its own"
    fleet.carry_out(artifact("c2", elsewhere=FLEET), ())
    assert commit_of(artifacts, release(ref="elsewhere")) == "c2"


def test_without_a_repository_nothing_is_waited_for(artifacts: Artifacts) -> None:
    with pytest.raises(SourceNotReady):
        artifacts.artifact_of(release())


@pytest.mark.parametrize(
    ("url", "spec", "reference", "branch", "same"),
    [
        (FLEET, {}, GitReference(), "", True),
        (FLEET, {}, GitReference(), "main", False),
        (FLEET, {"ref": {"branch": "main"}}, GitReference(), "main", True),
        (FLEET, {"ref": {"name": "refs/heads/main"}}, GitReference(branch="main"), "", True),
        (FLEET, {"ref": {"branch": "main"}}, GitReference(branch="prod"), "main", False),
        (FLEET, {"ref": {"branch": "main", "tag": "v1"}}, GitReference(branch="main"), "", False),
        (FLEET, {"ref": {"tag": "v1"}}, GitReference(tag="v1"), "", True),
        (FLEET, {"ref": {"semver": "1.x", "branch": "main"}}, GitReference(branch="main"), "", False),
        (FLEET, {"ref": {"commit": "a" * 40, "branch": "main"}}, GitReference(branch="main"), "", False),
        (FLEET, {"ref": {"commit": "a" * 40}}, GitReference(commit="a" * 40), "", True),
        ("ssh://git@GIT.example:22/fleet/", {}, GitReference(), "", True),
        ("ssh://git@git.example:2222/fleet", {}, GitReference(), "", False),
        ("https://git.example/fleet2", {}, GitReference(), "", False),
        (FLEET, {"ignore": "docs/", "sparseCheckout": ["apps"]}, GitReference(), "", True),
        (FLEET, {"recurseSubmodules": True}, GitReference(), "", False),
        (FLEET, {"include": [{"repository": {"name": "other"}}]}, GitReference(), "", False),
        (FLEET, {"verify": {"mode": "HEAD", "secretRef": {"name": "keys"}}}, GitReference(), "", False),
    ],
)
def test_a_git_repository_is_the_synced_one_when_it_asks_for_the_same_and_nothing_more(
    url: str, spec: dict[str, Any], reference: GitReference, branch: str, same: bool
) -> None:
    head = Head(FLEET, reference, branch)
    assert head.is_meant_by(source("any"), git_repository("any", url, **spec), brought=True) is same


def test_what_a_repository_of_flux_bootstrap_brings_as_itself_is_itself_under_whatever_address() -> None:
    head = Head("/srv/fleet")
    declared = git_repository("flux-system", "ssh://git@git.example/fleet", ref={"branch": "main"})
    assert head.is_meant_by(BOOTSTRAP, declared, brought=True)
    assert not head.is_meant_by(BOOTSTRAP, declared, brought=False)
    assert not head.is_meant_by(source("flux-system"), declared, brought=True), "in another namespace it is any other"


def test_a_commit_that_is_tried_out_stands_for_what_a_branch_may_have_next() -> None:
    """Else the sandbox would fetch what the branch has now."""
    head = Head(FLEET, GitReference(commit="a" * 40), is_tried=True)
    for ref, same in (({"branch": "main"}, True), ({"tag": "v1"}, False), ({"commit": "b" * 40}, False)):
        assert head.is_meant_by(source("any"), git_repository("any", FLEET, ref=ref), brought=True) is same
    assert not head.is_meant_by(source("any"), git_repository("any", APPS, ref={"branch": "main"}), brought=True)


async def test_what_a_clone_on_this_machine_was_cloned_from_is_the_same_repository(tmp_path: Path) -> None:
    """A repository is tried from a clone, with its GitRepository of whatever name."""
    upstream, url = Repository.make(tmp_path / "fleet"), "git@git.example:acme/fleet.git"
    upstream.commit({"a.yaml": "a: b\n"})
    upstream.git("remote", "add", "origin", url)
    mirror = Mirror(GitSource(str(upstream.path)), tmp_path / "mirror")
    await mirror.head()
    synced = Artifacts().add("fleet", Head(mirror.source.url))
    synced.polled(None, mirror.default_branch, mirror.cloned_from)
    named = git_repository("home", "https://git.example/acme/fleet", ref={"branch": mirror.default_branch})
    assert synced.is_meant_by(source("home"), named)
    other = git_repository("home", "https://git.example/acme/fleet", ref={"branch": "other"})
    assert not synced.is_meant_by(source("home"), other)
    assert not synced.is_meant_by(source("home"), git_repository("home", "https://git.example/acme/apps"))


def test_only_its_own_git_repository_says_whose_signatures_it_must_carry() -> None:
    head = Head(FLEET, GitReference(branch="main"))
    verify = {"mode": "HEAD", "secretRef": {"name": "keys"}}
    declared = git_repository("flux-system", FLEET, ref={"branch": "main"}, verify=verify)
    assert head.is_meant_by(BOOTSTRAP, declared, brought=False)
    assert not head.is_meant_by(source("any"), declared, brought=False), "a repository of its own"
    more = git_repository("flux-system", FLEET, ref={"branch": "main"}, verify=verify, recurseSubmodules=True)
    assert not head.is_meant_by(BOOTSTRAP, more, brought=True)
    assert head.is_named_by(BOOTSTRAP, more, brought=True), "its demand counts all the same"
    assert not head.is_named_by(BOOTSTRAP, git_repository("flux-system", APPS, verify=verify), brought=False)
