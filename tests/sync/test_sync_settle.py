"""When a commit's releases have settled, and how each of them stands then."""

from __future__ import annotations

from typing import Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.release.dependencies.holds import Hold
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.release.dependencies.states import state_of
from gitsync.sync.outcome import Outcomes, Unsettled

COMMIT = "c" * 40


def key(name: str) -> ObjectKey:
    return ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", name)


def release(name: str, *depends_on: str, version: int = 1, **status: Any) -> Manifest:
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {
            "name": name,
            "namespace": "default",
            "generation": 2,
            "resourceVersion": str(version),
            "annotations": {"gitsync.dev/commit": COMMIT},
        },
        "spec": {
            "interval": "5m",
            "chart": {"spec": {"chart": name, "sourceRef": {"kind": "HelmRepository", "name": "charts"}}},
            "dependsOn": [{"name": other} for other in depends_on],
        },
        "status": status,
    }


def condition(kind: str, status: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "Any", "message": message}


READY: dict[str, Any] = {
    "observedGeneration": 2,
    "lastHandledCommit": COMMIT,
    "conditions": [condition("Ready", "True", "fine")],
}
STALLED: dict[str, Any] = {
    "observedGeneration": 2,
    "lastHandledCommit": COMMIT,
    "conditions": [condition("Ready", "False", "image not found"), condition("Stalled", "True")],
}


def index(*manifests: Manifest) -> ReleaseIndex:
    found = ReleaseIndex()
    for manifest in manifests:
        found.update(key(manifest["metadata"]["name"]), manifest)
    return found


def phases(found: ReleaseIndex) -> dict[str, str]:
    outcomes = Outcomes(found)
    return {item.name: outcomes.of(item).phase for item in found}


def test_ready_counts_only_at_the_present_generation_and_commit() -> None:
    old_generation = {**READY, "observedGeneration": 1}
    old_commit = {**READY, "lastHandledCommit": "b" * 40}
    found = index(release("a", **READY), release("b", **old_generation), release("c", **old_commit))
    assert phases(found) == {"a": "ready", "b": "moving", "c": "moving"}


def test_stalled_counts_only_at_the_present_generation_and_commit() -> None:
    old = {**STALLED, "observedGeneration": 1}
    found = index(release("a", **STALLED), release("b", **old), release("c", **{**STALLED, "lastHandledCommit": "b"}))
    assert phases(found) == {"a": "failed", "b": "moving", "c": "moving"}
    assert Outcomes(found).of(key("a")).message == "image not found"


def test_a_release_waits_when_all_that_holds_it_back_has_no_hope() -> None:
    found = index(
        release("redis", **STALLED),
        release("backend", "redis"),
        release("frontend", "backend"),
        release("lonely", "nosuch"),
        release("slow"),
        release("patient", "slow", "redis"),
    )
    assert phases(found) == {
        "redis": "failed",
        "backend": "waiting",
        "frontend": "waiting",
        "lonely": "waiting",
        "slow": "moving",
        "patient": "moving",  # slow may still come, and then it is known what patient waits for
    }


def test_the_members_of_a_cycle_and_what_depends_on_them_wait() -> None:
    found = index(release("a", "b"), release("b", "a"), release("c", "a"), release("d", **READY))
    assert phases(found) == {"a": "waiting", "b": "waiting", "c": "waiting", "d": "ready"}


def test_a_suspended_release_is_settled() -> None:
    suspended = release("a")
    suspended["spec"]["suspend"] = True
    assert phases(index(suspended)) == {"a": "suspended"}


def test_settling_looks_only_at_what_changed_and_ends_when_nothing_moves() -> None:
    found = index(release("redis"), release("backend", "redis"), release("other"))
    settling = Unsettled(found, [key("redis"), key("backend"), key("other")])
    assert settling.open == {key("redis"), key("backend"), key("other")}
    found.update(key("other"), release("other", version=2, **READY))
    settling.look([key("other")])
    assert settling.open == {key("redis"), key("backend")}
    found.update(key("redis"), release("redis", version=3, **STALLED))
    settling.look([key("redis")])
    assert settling.open == set()  # backend waits for what has failed


def test_settling_hears_of_those_that_it_does_not_follow_and_of_those_that_have_gone() -> None:
    found = index(release("redis"), release("backend", "redis"), release("frontend", "backend"))
    settling = Unsettled(found, [key("frontend")])
    found.update(key("redis"), release("redis", version=2, **STALLED))
    settling.look([key("redis")])
    assert settling.open == set(), "who is behind redis waits for what has failed"

    found = index(release("redis"), release("backend", "redis"), release("other"))
    settling = Unsettled(found, [key("redis"), key("backend"), key("other")])
    found.forget(key("redis"))
    settling.look([key("redis")])
    assert settling.open == {key("redis"), key("other")}


def test_settling_hears_of_one_that_becomes_ready_while_another_has_failed() -> None:
    found = index(release("a"), release("b", **STALLED), release("c", "a", "b"))
    settling = Unsettled(found, [key("a"), key("c")])
    assert settling.open == {key("a"), key("c")}
    found.update(key("a"), release("a", version=2, **READY))
    settling.look([key("a")])
    assert settling.open == set(), "c waits for b alone, which has failed"


def test_a_failure_does_not_count_while_the_agent_goes_on_acting_on_the_release() -> None:
    found = index(release("a"), release("b", "a"))
    found.set_at_work(key("a"), at_work=True)
    found.update(key("a"), release("a", version=2, **STALLED))
    assert phases(found) == {"a": "moving", "b": "moving"}, "it is about to be rolled back"
    heard: list[ObjectKey] = []
    found.subscribe(lambda changed, before, after: heard.append(changed))
    assert Outcomes(found, at_rest=True).of(key("a")).phase == "failed", "a sync that has ended says what it knows"
    found.set_at_work(key("a"), at_work=False)
    assert (heard, phases(found)) == ([key("a")], {"a": "failed", "b": "waiting"})


def test_a_release_that_was_just_applied_and_not_seen_yet_is_moving() -> None:
    settling = Unsettled(ReleaseIndex(), [key("a")])
    assert settling.open == {key("a")}


def test_a_release_whose_ready_expr_says_no_of_a_ready_dependency_waits() -> None:
    redis = release("redis", **READY)
    backend = release("backend", "redis")
    backend["spec"]["dependsOn"][0]["readyExpr"] = "dep.ok"
    releases = index(redis, backend)
    settling = Unsettled(releases, [key("backend")])
    assert settling.open == {key("backend")}, "nobody has evaluated it yet"

    releases.set_answer(key("backend"), redis, "dep.ok", "readyExpr `dep.ok` is false")
    settling.look([key("backend")])

    assert Outcomes(releases).of(key("backend")).phase == "waiting"
    assert not settling.open
    releases.update(key("redis"), release("redis", version=2))
    assert Outcomes(releases).of(key("backend")).phase == "moving"


TAKEN: dict[str, Any] = {
    "observedGeneration": 2,
    "conditions": [{"type": "Ready", "status": "False", "reason": "OwnedByAnother", "message": "is a's"}],
}
OBJECT = ObjectKey("", "ConfigMap", "default", "moves")


def hold_by(found: ReleaseIndex, owner: str, doubt: str = "") -> None:
    """Note that ``b`` was told that ``owner`` has an object of it."""
    manifest, asker = found.manifest(key(owner)), found.manifest(key("b"))
    assert manifest is not None
    assert asker is not None
    claimant = Claimant.of_release(key(owner))._replace(doubt=doubt)
    found.set_hold(key("b"), Hold(OBJECT, "", claimant, state_of(manifest), state_of(asker)))


def test_a_release_whose_object_another_one_goes_on_wanting_waits() -> None:
    found = index(release("a", **READY), release("b", **TAKEN))
    assert phases(found)["b"] == "moving", "nobody has looked since the start"
    assert Outcomes(found, at_rest=True).of(key("b")).phase == "waiting"
    hold_by(found, "a")
    assert phases(found)["b"] == "waiting"

    with found.expecting([key("a")]) as arrived:
        assert phases(found)["b"] == "moving", "a commit has yet to change a"
        arrived(key("a"))
        assert phases(found)["b"] == "waiting", "it did not"
    changed = release("a", version=2, **READY)
    changed["metadata"]["generation"] = 3
    found.update(key("a"), changed)
    assert phases(found)["b"] == "moving", "it has changed a since"
    hold_by(found, "a")
    assert phases(found)["b"] == "waiting"
    found.forget(key("a"))
    assert phases(found)["b"] == "moving"


def test_a_release_moves_while_nobody_can_tell_what_the_holder_of_its_object_wants_and_that_moves() -> None:
    found = index(release("a"), release("b", **TAKEN))
    hold_by(found, "a", "its Secret does not exist")
    assert phases(found) == {"a": "moving", "b": "moving"}
    found.update(key("a"), release("a", version=2, **STALLED))
    assert phases(found) == {"a": "failed", "b": "waiting"}


def test_a_release_whose_object_a_sync_has_waits_until_it_asks_anew() -> None:
    found = index(release("b", **TAKEN))
    manifest = found.manifest(key("b"))
    assert manifest is not None
    found.set_hold(key("b"), Hold(OBJECT, "", Claimant("sync", "fleet"), asked=state_of(manifest)))
    settling = Unsettled(found, [key("b")])
    assert not settling.open
    heard: list[ObjectKey] = []
    found.subscribe(lambda changed, before, after: heard.append(changed))
    found.set_hold(key("b"), None)
    assert (heard, phases(found)) == ([key("b")], {"b": "moving"})
