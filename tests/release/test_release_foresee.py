"""What `gitsync plan` foresees is what the agent then does: both held against each other on made-up releases.

The agent's side is a world of its own: Helm's records and a HelmRelease's status, to which each action does what it
does in a cluster when it succeeds. Facts are worked out from those anew before every decision, as the agent does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest
from gitsync.api.status import HelmReleaseStatus
from gitsync.release.reconcile.decide import Decision, NextAction, decide
from gitsync.release.reconcile.facts import Facts, active_remediation, install_retries_exhausted, policy_of_tests
from gitsync.release.reconcile.foresee import Content, Foresight, foresee
from gitsync.release.reconcile.remediation import candidates
from gitsync.release.revision import CountedAction, ReleaseRef
from gitsync.release.status.builder import DeployedRevision, StatusBuilder
from gitsync.release.status.history import snapshot_of
from gitsync.release.status.observed import Attempt
from gitsync.release.storage.record import (
    CHART_DIGEST,
    HOLDER,
    TESTS,
    VALUES_DIGEST,
    Digests,
    Record,
    Status,
    Summary,
    digests_of,
)

REF = ReleaseRef("redis", "default", "default")
WANTED, OTHER = Digests("chart", "values"), Digests("chart", "other")
ATTEMPT = Attempt(1, "1.0.0", WANTED)
NOW = datetime(2026, 11, 27, tzinfo=UTC)
_CHART: dict[str, Any] = {"metadata": {"name": "redis", "version": "1.0.0"}}
RECORD = Record("redis", "default", 1, "deployed", chart=_CHART, config={}, manifest="")


def helm_release(spec: dict[str, Any]) -> Manifest:
    source = {"kind": "HelmRepository", "name": "charts"}
    chart = {"chart": {"spec": {"chart": "redis", "sourceRef": source}}}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "redis", "namespace": "default", "generation": 1},
        "spec": {"interval": "5m", **chart, **spec},
    }


def notes(digests: Digests | None) -> dict[str, str]:
    return {CHART_DIGEST: digests.chart, VALUES_DIGEST: digests.values} if digests else {}


@dataclass
class World:
    """A cluster with one release, and the agent that works on it."""

    manifest: Manifest
    records: list[Summary]
    replaced: bool = False
    suspended: bool = False
    content: Content = Content.UNCHANGED
    done: list[NextAction] = field(default_factory=list)

    @property
    def release(self) -> HelmRelease:
        return HelmRelease.parse(self.manifest)

    @property
    def status(self) -> StatusBuilder:
        return StatusBuilder(self.manifest, NOW)

    @property
    def newest(self) -> Summary | None:
        return self.records[-1] if self.records else None

    def facts(self) -> Facts:
        """As the agent works them out; who wrote a record without digests is told from what is wanted by comparing."""
        remediation = active_remediation(self.release, self.status, ATTEMPT)
        return Facts(
            suspended=self.suspended,
            ref=REF,
            wanted=WANTED,
            newest=self.newest,
            same_content=False,
            holders=frozenset({"us"}),
            now=1000.0,
            remediation=remediation,
            install_retries_exhausted=install_retries_exhausted(self.release, self.status, ATTEMPT),
            tests=policy_of_tests(self.release, remediation.action),
            force_requested=self.status.force_requested,
            replaced=ReleaseRef("old", "default", "default") if self.replaced else None,
            dependencies_ready=True,
        )

    def previous(self) -> Digests | None:
        """What a rollback would bring back."""
        untested = self.release.spec.upgrade.remediation.ignores_test_failures(self.release.spec.test)
        found = candidates(self.records, failed_tests=untested)
        return (digests_of(found[0]) or Digests("theirs", "theirs")) if found else None

    def live(self) -> None:
        """Let the agent work until it has nothing more to do by itself."""
        for _ in range(20):
            decision = decide(self.facts())
            assert isinstance(decision, Decision)
            self.done.append(decision.action)
            if not self._act(decision.action):
                return
        raise AssertionError(f"the agent goes round in circles: {self.done}")

    def _act(self, action: NextAction) -> bool:
        """Do it; False when nothing follows by itself."""
        match action:
            case NextAction.INSTALL | NextAction.UPGRADE | NextAction.RETRY | NextAction.RESUME:
                self._deploy("install" if action is NextAction.INSTALL else "upgrade", action is NextAction.RESUME)
            case NextAction.UNINSTALL_AND_RETRY:
                self._uninstall()
            case NextAction.ROLLBACK_AND_RETRY:
                self._roll_back()
            case NextAction.UNLOCK:
                self._end("failed")
            case NextAction.WAIT:  # helm comes to its end, and leaves what it has installed
                self.records[-1] = replace(self.records[-1], status="deployed", annotations={})
            case NextAction.TEST:
                newest = self.records[-1]
                self.records[-1] = replace(newest, annotations={**newest.annotations, TESTS: "Succeeded"})
            case _:
                return False
        return True

    def _deploy(self, action: CountedAction, resumed: bool) -> None:
        for number, item in enumerate(self.records):
            if item.status == "deployed":
                self.records[number] = replace(item, status="superseded")
        if resumed:
            self._end("deployed")
        else:
            self._add(notes(WANTED))
        self.content, self.replaced = Content.DESIRED, False
        snapshot = snapshot_of(replace(RECORD, version=self.records[-1].version))
        self._write(self.status.released(DeployedRevision("", snapshot, "default", ATTEMPT, action)))

    def _uninstall(self) -> None:
        if self.release.spec.uninstall.keep_history:
            self._end("uninstalled")
        else:
            self.records.clear()
        self.content = Content.NOTHING
        before = self.status.old
        self._write(self.status.remediated(before, True, "UninstallSucceeded", "", self.status.without_revision()))

    def _roll_back(self) -> None:
        previous, before = self.previous(), self.status.old
        if previous is None:
            self._end("failed")
            self._write(self.status.remediated(before, False, "RollbackFailed", "", {}))
            return
        self._add(notes(previous if previous.chart != "theirs" else Digests("theirs", "theirs")))
        self.content = Content.PREVIOUS
        self._write(self.status.remediated(before, True, "RollbackSucceeded", "", {}))

    def _add(self, annotations: dict[str, str]) -> None:
        version = self.records[-1].version + 1 if self.records else 1
        self.records.append(Summary("redis", "default", version, "deployed", "", annotations))

    def _end(self, status: Any) -> None:
        self.records[-1] = replace(self.records[-1], status=status)

    def _write(self, status: HelmReleaseStatus) -> None:
        self.manifest = {**self.manifest, "status": status.patch_from(HelmReleaseStatus())}


retries = st.integers(-1, 2)
flags = st.booleans()
maybe = st.sampled_from([None, True, False])
specs = st.fixed_dictionaries(
    {},
    optional={
        "install": st.fixed_dictionaries(
            {"remediation": st.fixed_dictionaries({"retries": retries, "remediateLastFailure": maybe})}
        ),
        "upgrade": st.fixed_dictionaries(
            {
                "remediation": st.fixed_dictionaries(
                    {
                        "retries": retries,
                        "remediateLastFailure": maybe,
                        "strategy": st.sampled_from(["rollback", "uninstall"]),
                    }
                )
            }
        ),
        "test": st.fixed_dictionaries({"enable": st.booleans(), "ignoreFailures": st.booleans()}),
        "uninstall": st.fixed_dictionaries({"keepHistory": st.booleans()}),
    },
)
digests = st.sampled_from([WANTED, OTHER, None])
ended: list[Status] = ["deployed", "failed", "superseded", "uninstalled"]
pending: list[Status] = ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling"]
past = st.lists(st.tuples(st.sampled_from(ended), digests), max_size=3)
last = st.tuples(
    st.sampled_from([*ended, *pending]),
    digests,
    st.sampled_from(["us", "them"]),
    st.sampled_from(["", "Succeeded", "Failed"]),
)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    records = [
        Summary("redis", "default", number, status, "900", notes(held))
        for number, (status, held) in enumerate(draw(past), 1)
    ]
    has_record: bool = bool(records) or draw(flags)
    if has_record:
        status, held, holder, tested = draw(last)
        annotations = notes(held) | {HOLDER: holder} | ({TESTS: tested} if tested and status == "deployed" else {})
        records.append(Summary("redis", "default", len(records) + 1, status, "900", annotations))
    manifest = helm_release(draw(specs))
    action = draw(st.sampled_from(["install", "upgrade"]))
    counted = {f"{action}Failures": draw(st.integers(0, 3)), "lastAttemptedReleaseAction": action}
    conditions = draw(st.sampled_from([[], [{"type": "Remediated", "status": "False", "reason": "RollbackFailed"}]]))
    manifest["status"] = {**ATTEMPT.fields, **counted, "conditions": conditions}
    if draw(flags):
        requested = {"reconcile.fluxcd.io/requestedAt": "now", "reconcile.fluxcd.io/forceAt": "now"}
        manifest["metadata"]["annotations"] = requested
    return World(manifest, records, replaced=draw(flags), suspended=draw(flags) and draw(flags))


def foreseen(world: World) -> Foresight:
    return foresee(world.facts(), world.previous())


@settings(max_examples=600)
@given(worlds())
def test_what_is_foreseen_is_what_the_agent_does(world: World) -> None:
    expected = foreseen(world)
    world.live()
    event(f"{expected.content}")
    assert [step.action for step in expected.steps] == world.done
    assert expected.content is world.content


@settings(max_examples=200)
@given(worlds())
def test_nothing_is_foreseen_of_what_has_just_been_brought_about(world: World) -> None:
    world.live()
    assume(world.done[-1] in (NextAction.NOTHING, NextAction.STALL, NextAction.SUSPEND))
    again = foreseen(world)
    assert again.content is Content.UNCHANGED
    assert [step.action for step in again.steps] == [world.done[-1]]


def test_a_failed_upgrade_with_a_retry_left_is_rolled_back_and_made_again() -> None:
    spec = {"upgrade": {"remediation": {"retries": 1}}}
    world = failed_upgrade(spec, failures=1)
    assert actions(foreseen(world)) == ["rollback-and-retry", "upgrade", "nothing"]
    world = failed_upgrade(spec, failures=2)
    assert actions(foreseen(world)) == ["rollback-and-retry", "stall"]
    assert foreseen(world).content is Content.PREVIOUS


def test_an_upgrade_that_is_remediated_by_an_uninstall_is_installed_anew_even_without_a_retry() -> None:
    remediation = {"retries": 0, "strategy": "uninstall", "remediateLastFailure": True}
    world = failed_upgrade({"upgrade": {"remediation": remediation}}, failures=1)
    assert actions(foreseen(world)) == ["uninstall-and-retry", "install", "nothing"]


def test_an_install_that_failed_too_often_is_left_as_it_is() -> None:
    manifest = helm_release({})
    manifest["status"] = {**ATTEMPT.fields, "installFailures": 1, "lastAttemptedReleaseAction": "install"}
    world = World(manifest, [Summary("redis", "default", 1, "failed", "", notes(WANTED))])
    assert actions(foreseen(world)) == ["stall"]
    assert foreseen(world).content is Content.UNCHANGED


def failed_upgrade(spec: dict[str, Any], failures: int) -> World:
    manifest = helm_release(spec)
    counted = {"upgradeFailures": failures, "lastAttemptedReleaseAction": "upgrade"}
    manifest["status"] = {**ATTEMPT.fields, **counted}
    records = [
        Summary("redis", "default", 1, "deployed", "", notes(OTHER)),
        Summary("redis", "default", 2, "failed", "", notes(WANTED)),
    ]
    return World(manifest, records)


def actions(foresight: Foresight) -> list[str]:
    return [step.action.value for step in foresight.steps]
