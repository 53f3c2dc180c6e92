"""The index of HelmReleases: what holds a release back, and what each change of one means to the others."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    COMMIT_AUTHOR_ANNOTATION,
    COMMIT_SUBJECT_ANNOTATION,
    DEPENDS_ON_ORIGIN_ANNOTATION,
    HELM_GROUP,
)
from gitsync.errors import DependencyCycle, DependencyMissing, DependencyNotReady, FieldErrors
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import is_current


def key(name: str, namespace: str = "default") -> ObjectKey:
    return ObjectKey(HELM_GROUP, "HelmRelease", namespace, name)


def release(
    name: str,
    *needs: str,
    ready: bool = True,
    version: int = 1,
    namespace: str = "default",
    annotations: dict[str, str] | None = None,
    **status: Any,
) -> Manifest:
    """A HelmRelease that is ready unless said otherwise; ``needs`` are names, with a namespace before a slash."""
    source = {"kind": "HelmRepository", "name": "charts"}
    condition = {"type": "Ready", "status": "True" if ready else "False", "reason": "x", "message": "x"}
    return {
        "apiVersion": f"{HELM_GROUP}/v2",
        "kind": "HelmRelease",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid of {name}",
            "generation": 1,
            "resourceVersion": str(version),
            "annotations": annotations or {},
        },
        "spec": {
            "interval": "1h",
            "chart": {"spec": {"chart": "app", "sourceRef": source}},
            "dependsOn": [{"name": need} for need in needs],
        },
        "status": {"observedGeneration": 1, "conditions": [condition], **status},
    }


def index_of(*manifests: Manifest) -> ReleaseIndex:
    index = ReleaseIndex()
    for manifest in manifests:
        index.update(ObjectKey.of(manifest), manifest)
    return index


def why(index: ReleaseIndex, name: str) -> str:
    """What holds a release back, in words; "" for nothing."""
    blocked = index.blocked(key(name))
    return blocked.error.message if blocked else ""


def test_nothing_holds_a_release_whose_dependencies_are_ready() -> None:
    assert index_of(release("a"), release("b", "a")).blocked(key("b")) is None


def test_a_dependency_beyond_the_one_namespace_that_is_watched_is_not_said_to_be_missing() -> None:
    index = ReleaseIndex("default")
    dependent = release("b", "a", "nosuch")
    dependent["spec"]["dependsOn"][0]["namespace"] = "elsewhere"
    index.update(key("b"), dependent)
    assert why(index, "b") == (
        "dependency 'elsewhere/a' cannot be seen: only HelmReleases of namespace 'default' are (watch_namespace); "
        "dependency 'default/nosuch' does not exist"
    )
    blocked = index.blocked(key("b"))
    assert blocked is not None
    assert "correct dependsOn" in blocked.error.hint


def test_every_unready_dependency_is_named_and_waited_for() -> None:
    index = index_of(release("a", ready=False), release("b"), release("c", ready=False), release("d", "a", "b", "c"))

    blocked = index.blocked(key("d"))

    assert blocked is not None
    assert isinstance(blocked.error, DependencyNotReady)
    assert blocked.error.message == "dependency 'default/a' is not ready; dependency 'default/c' is not ready"
    assert blocked.on == {key("a"), key("c")}


def test_of_many_dependencies_the_first_are_named_and_all_are_waited_for() -> None:
    names = [f"a{number}" for number in range(20)]
    index = index_of(*(release(name, ready=False) for name in names), release("z", *names))
    blocked = index.blocked(key("z"))
    assert blocked is not None
    assert blocked.error.message.endswith("; dependency 'default/a4' is not ready and 15 more")
    assert blocked.on == {key(name) for name in names}


@pytest.mark.parametrize("need", ["monitoring/prometheus"])
def test_a_dependency_in_another_namespace_is_found_by_either_spelling(need: str) -> None:
    prometheus = release("prometheus", ready=False, namespace="monitoring")
    written = release("b")
    written["spec"]["dependsOn"] = [{"name": "prometheus", "namespace": "monitoring"}]

    assert why(index_of(prometheus, release("b", need)), "b") == "dependency 'monitoring/prometheus' is not ready"
    assert why(index_of(prometheus, written), "b") == "dependency 'monitoring/prometheus' is not ready"


def test_a_dependency_that_is_nowhere_is_said_to_be_missing_first() -> None:
    blocked = index_of(release("a", ready=False), release("b", "a", "nosuch")).blocked(key("b"))

    assert blocked is not None
    assert isinstance(blocked.error, DependencyMissing)
    assert blocked.error.message == "dependency 'default/nosuch' does not exist; dependency 'default/a' is not ready"
    assert blocked.on == {key("a"), key("nosuch")}


def test_a_missing_dependency_that_is_about_to_be_applied_is_just_not_ready() -> None:
    index = index_of(release("b", "coming"))
    heard: list[ObjectKey] = []
    index.subscribe(lambda changed, before, after: heard.append(changed))
    with index.expecting([key("coming")]), index.expecting([key("other")]):
        assert why(index, "b") == "dependency 'default/coming' is not ready"
    heard.remove(key("other"))

    assert why(index, "b") == "dependency 'default/coming' does not exist"
    assert heard == [key("coming")], "whoever waits for it is told to look again"


def test_a_ready_dependency_counts_only_when_its_own_are_ready() -> None:
    index = index_of(release("a", ready=False), release("b", "a"), release("c", "b"))

    assert why(index, "c") == "dependency 'default/a' is not ready (through 'default/b')"
    blocked = index.blocked(key("c"))
    assert blocked is not None
    assert blocked.on == {key("a")}


def test_a_dependency_s_missing_dependency_holds_only_that_dependency() -> None:
    """b is ready, whatever became of what it once needed."""
    index = index_of(release("b", "nosuch"), release("c", "b"))

    assert why(index, "b") == "dependency 'default/nosuch' does not exist"
    assert why(index, "c") == ""


def expecting(manifest: Manifest, name: str, expression: str) -> Manifest:
    """The release, depending on another one by an expression."""
    return {**manifest, "spec": {**manifest["spec"], "dependsOn": [{"name": name, "readyExpr": expression}]}}


def test_a_ready_expr_replaces_the_check_of_readiness() -> None:
    redis = release("redis", ready=False)
    index = index_of(redis, expecting(release("backend"), "redis", "dep.ok"))

    waits = "dependency 'default/redis' is not ready: "
    assert text_of(index, "backend") == (f"{waits}its readyExpr was not evaluated yet", {key("redis")})
    assert not index.answered(key("backend"), key("redis"))
    index.set_answer(key("backend"), redis, "dep.ok", "readyExpr `dep.ok` is false")
    assert text_of(index, "backend") == (f"{waits}readyExpr `dep.ok` is false", {key("redis")})
    assert index.answered(key("backend"), key("redis"))
    index.update(key("redis"), release("redis", ready=False, version=2))
    assert not index.answered(key("backend"), key("redis")), "the answer was about the state before"

    index.set_answer(key("backend"), redis, "dep.ok", "")
    assert index.blocked(key("backend")) is None
    index.update(key("backend"), expecting(release("backend", version=2), "redis", "dep.other"))
    assert index.blocked(key("backend")) is not None, "the answer was to another expression"
    index.forget(key("redis"))
    assert text_of(index, "backend") == ("dependency 'default/redis' does not exist", {key("redis")})


def test_an_answer_is_told_when_it_is_new() -> None:
    redis = release("redis")
    index = index_of(redis, expecting(release("backend"), "redis", "dep.ok"))
    told: list[ObjectKey] = []
    index.subscribe(lambda changed, before, after: told.append(changed))

    for why in ("no", "no", ""):
        index.set_answer(key("backend"), redis, "dep.ok", why)

    assert told == [key("backend")] * 2


def test_what_lies_behind_a_ready_expr_holds_nobody_back() -> None:
    middle = expecting(release("middle"), "redis", "true")
    index = index_of(release("redis", ready=False), middle, release("backend", "middle"))
    assert index.blocked(key("backend")) is None

    index = index_of(release("redis", ready=False), release("middle", "redis"), release("backend", "middle"))
    assert index.blocked(key("backend")) is not None

    index = index_of(
        release("redis", ready=False), release("middle", "redis"), expecting(release("backend"), "middle", "true")
    )
    index.set_answer(key("backend"), release("middle"), "true", "")
    assert index.blocked(key("backend")) is None


def text_of(index: ReleaseIndex, name: str) -> tuple[str, set[ObjectKey]]:
    blocked = index.blocked(key(name))
    assert blocked is not None
    return blocked.error.message, set(blocked.on)


def test_members_of_a_cycle_are_told_its_edges_and_places_and_others_wait_behind_it() -> None:
    here = {DEPENDS_ON_ORIGIN_ANNOTATION: "apps/a.yaml:12"}
    index = index_of(release("a", "b", annotations=here), release("b", "a"), release("c", "b"), release("d"))

    blocked = index.blocked(key("a"))
    assert blocked is not None
    assert isinstance(blocked.error, DependencyCycle)
    assert blocked.error.message == (
        "dependency cycle: default/a -> default/b -> default/a "
        "(default/a -> default/b at apps/a.yaml:12; default/b -> default/a)"
    )
    assert blocked.on == {key("a"), key("b")}
    behind = index.blocked(key("c"))
    assert behind is not None
    assert isinstance(behind.error, DependencyNotReady)
    assert "default/a -> default/b -> default/a" in behind.error.message
    assert why(index, "d") == ""


def test_a_cycle_has_one_name_whoever_came_first() -> None:
    one, other = release("a", "b"), release("b", "a")
    assert why(index_of(one, other), "a") == why(index_of(other, one), "a")


def test_breaking_a_cycle_frees_its_members() -> None:
    index = index_of(release("a", "b"), release("b", "a"))
    assert set(index.held) == {key("a"), key("b")}

    index.update(key("b"), release("b", version=2))

    assert index.held == {}
    assert why(index, "a") == ""


def test_a_release_that_depends_on_itself_is_a_cycle() -> None:
    assert "default/a -> default/a" in why(index_of(release("a", "a")), "a")


def test_a_release_is_current_at_its_generation_only() -> None:
    manifest = release("a")
    assert is_current(manifest)

    manifest["metadata"]["generation"] = 2

    assert not is_current(manifest)


@pytest.mark.parametrize(
    ("stamp", "handled", "current"),
    [
        ("", "", True),
        ("c1", "c1", True),
        ("c2", "c1", False),  # a chart in Git changed with this commit, the HelmRelease did not
        ("c1", "", True),  # brought by a commit, its status from before gitsync wrote commits down
        ("", "c1", True),  # no longer from Git
    ],
)
def test_a_release_is_current_at_the_commit_that_last_changed_it(stamp: str, handled: str, current: bool) -> None:
    annotations = {COMMIT_ANNOTATION: stamp} if stamp else {}
    status: dict[str, Any] = {"lastHandledCommit": handled} if handled else {}
    assert is_current(release("a", annotations=annotations, **status)) is current


def test_a_release_that_is_being_deleted_is_not_current() -> None:
    manifest = release("a")
    manifest["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    assert not is_current(manifest)


def test_dependents_that_are_leaving_go_first_but_not_those_that_stay_or_are_in_a_cycle() -> None:
    leaving = release("b", "a")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    assert index_of(release("a"), leaving, release("c", "a")).dependents_being_deleted(key("a")) == {key("b")}
    assert index_of(release("a", "b"), leaving).dependents_being_deleted(key("a")) == frozenset()


def test_an_older_state_does_not_replace_a_newer_one() -> None:
    index = index_of(release("a", version=10))

    index.update(key("a"), release("a", ready=False, version=9))

    raw = index.manifest(key("a"))
    assert raw is not None
    assert raw["metadata"]["resourceVersion"] == "10"


def test_an_object_that_is_gone_does_not_come_back_by_a_late_answer() -> None:
    index = index_of(release("a", version=10))

    index.forget(key("a"))
    index.update(key("a"), release("a", version=11))  # the answer to a write, on its way while the watch said DELETED
    assert index.manifest(key("a")) is None

    again = release("a", version=12)
    again["metadata"]["uid"] = "another"
    index.update(key("a"), again)
    assert index.manifest(key("a")) == again


def test_listeners_are_told_of_what_came_changed_and_went() -> None:
    heard: list[tuple[str, bool, bool]] = []
    index = ReleaseIndex()
    unsubscribe = index.subscribe(lambda at, before, after: heard.append((at.name, bool(before), bool(after))))

    index.update(key("a"), release("a"))
    index.update(key("a"), release("a"))  # nothing new
    index.update(key("a"), release("a", version=2))
    index.forget(key("a"))
    index.forget(key("a"))
    unsubscribe()
    index.update(key("b"), release("b"))

    assert heard == [("a", False, True), ("a", True, True), ("a", True, False)]


def test_a_release_that_cannot_be_read_says_so_and_holds_nobody_s_graph_up() -> None:
    broken = release("a")
    broken["spec"]["interval"] = "soon"
    index = index_of(broken, release("b"))

    with pytest.raises(FieldErrors, match="interval"):
        index.get(key("a"))
    assert index.blocked(key("b")) is None


def test_the_commit_behind_a_release_is_the_one_that_removes_it_once_there_is_one() -> None:
    notes = {COMMIT_ANNOTATION: "1" * 40, COMMIT_AUTHOR_ANNOTATION: "Ann", COMMIT_SUBJECT_ANNOTATION: "redis: new"}
    index = index_of(release("a", annotations=notes), release("b"))

    assert index.ancestry.commit_of(key("a")) == CommitInfo("1" * 40, "Ann", "redis: new")
    assert index.ancestry.commit_of(key("b")) is None

    removal = CommitInfo("2" * 40, "Bob", "no more redis")
    index.ancestry.set_remover(key("a"), removal)
    assert index.ancestry.commit_of(key("a")) == CommitInfo("1" * 40, "Ann", "redis: new"), "it is not being deleted"
    going = release("a", version=2, annotations=notes)
    going["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    index.update(key("a"), going)
    assert index.ancestry.commit_of(key("a")) == removal
