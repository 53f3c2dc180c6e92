"""The actions on a release, each by itself, on a real API server: what they write, and in which order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster import Cluster
from gitsync.errors import ClusterUnavailable, ReleaseNotAllowed, RenderError, Superseded, UninstallFailed
from gitsync.release.reconcile.adopt import adopt, confirm
from gitsync.release.reconcile.decide import NextAction
from gitsync.release.reconcile.install import install_or_upgrade
from gitsync.release.reconcile.remediation import roll_back
from gitsync.release.reconcile.runner import run_action
from gitsync.release.reconcile.uninstall import uninstall
from gitsync.release.storage.record import TESTS, RecordError
from tests.charts.processes import busy
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.release.reconciling import Place, a_place
from tests.until import until

AWAY = ClusterUnavailable("the API server is away")


@pytest.fixture
async def place(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Place]:
    async with a_place(control_plane, namespace) as made:
        yield made


async def run(place: Place, action: NextAction) -> float | None:
    """One action on what the HelmRelease asks for."""
    request = await place.request()
    return await run_action(place.engine(request), request, await place.desired(), action)


async def install(place: Place, values: dict[str, Any], **spec: Any) -> None:
    """Have a release that is deployed."""
    await place.wants(values, **spec)
    assert await run(place, NextAction.INSTALL) is None
    place.store.steps.clear()


async def test_an_install_ends_with_ready_and_asks_for_no_other_pass(place: Place) -> None:
    await place.wants({"text": "one"})
    assert await run(place, NextAction.INSTALL) is None
    assert place.store.steps == [("create", "pending-install"), ("update", "deployed")]
    assert place.conditions()["Ready"] == ("True", "InstallSucceeded")
    assert place.manifest()["status"]["inventory"]["entries"] == [
        {"id": f"{place.namespace}_settings__ConfigMap", "v": "v1"}
    ]


async def test_drift_and_tests_ask_for_another_pass_at_once(place: Place) -> None:
    await place.wants({"text": "one"}, driftDetection={"mode": "enabled"})
    assert await run(place, NextAction.INSTALL) == 0.0
    await place.wants({"text": "two"}, test={"enable": True})
    assert await run(place, NextAction.UPGRADE) == 0.0
    assert place.conditions()["Ready"] == ("Unknown", "Progressing")
    assert place.conditions()["Released"] == ("True", "UpgradeSucceeded")


async def test_an_attempt_that_fails_says_whether_another_one_follows(place: Place) -> None:
    await place.wants({"broken": True}, install={"remediation": {"retries": 1}})
    assert await run(place, NextAction.INSTALL) == 0.0
    assert place.conditions()["Reconciling"] == ("True", "ProgressingWithRetry")
    assert "(try 1, will be tried again)" in place.message()
    assert await run(place, NextAction.RETRY) is None
    assert place.message().startswith("upgrade retries exhausted: cannot apply Service/"), "the retry is an upgrade"
    assert place.revisions() == [("1", "failed"), ("2", "failed")]


async def test_values_that_cannot_be_rendered_change_nothing(place: Place) -> None:
    await place.wants({"fail": True})
    with pytest.raises(RenderError, match="not with these values"):
        await run(place, NextAction.INSTALL)
    assert place.store.steps == []


async def test_an_action_without_rights_is_left_pending_and_spends_no_retry(place: Place) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "few", "namespace": place.namespace}}
    await place.cluster.apply(account, manager="test")
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "few", "namespace": place.namespace}}
    await place.cluster.apply({**rbac, "kind": "Role", "rules": rules}, manager="test")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "few"}
    subjects = [{"kind": "ServiceAccount", "name": "few", "namespace": place.namespace}]
    await place.cluster.apply({**rbac, "kind": "RoleBinding", "roleRef": role, "subjects": subjects}, manager="test")

    await place.wants({"text": "one"}, serviceAccountName="few")
    request = await place.request()
    assert request.target is not place.clusters.own
    with pytest.raises(ReleaseNotAllowed, match='cannot patch resource "configmaps"') as caught:
        await install_or_upgrade(place.engine(request), request, await place.desired(), NextAction.INSTALL)
    assert caught.value.action == "install"
    (record,) = request.target.records.revisions(place.namespace, "app")
    assert record.status == "pending-install"
    assert not place.manifest()["status"].get("failures")


async def test_a_newer_state_ends_an_action_and_its_revision_is_failed(place: Place) -> None:
    await place.wants({"slow": True})
    request = await place.request()
    work = asyncio.ensure_future(
        install_or_upgrade(place.engine(request), request, await place.desired(), NextAction.INSTALL)
    )
    await until(lambda: place.store.steps)
    request.interrupt.set("commit abc changes it")
    with pytest.raises(Superseded, match="commit abc changes it"):
        await work
    assert place.store.steps == [("create", "pending-install"), ("update", "failed")]
    assert not place.manifest()["status"].get("failures")


async def test_a_newer_state_ends_a_template_that_never_ends_and_nothing_was_changed(place: Place) -> None:
    endless = "{{ range until 30000 }}{{ range until 30000 }}{{ $x := . | toString | sha256sum }}{{ end }}{{ end }}"
    place.charts.more["templates/endless.yaml"] = endless
    await place.wants({"text": "one"})
    request = await place.request()
    work = asyncio.ensure_future(
        install_or_upgrade(place.engine(request), request, await place.desired(), NextAction.INSTALL)
    )
    await until(busy)
    request.interrupt.set("commit abc changes it")
    with pytest.raises(Superseded, match="commit abc changes it"):
        await work
    assert place.store.steps == []


async def test_a_rollback_goes_past_a_revision_that_cannot_be_read(place: Place) -> None:
    await install(place, {"text": "one"})
    await place.wants({"text": "two"})
    await run(place, NextAction.UPGRADE)
    await place.wants({"broken": True})
    await run(place, NextAction.UPGRADE)
    place.store.faults["read", "2"] = RecordError("damaged", secret="sh.helm.release.v1.app.v2")

    request = await place.request()
    await roll_back(place.engine(request), request, await place.desired())
    assert place.message("Remediated").endswith("app.v1 with chart app@1.0.0 succeeded")
    assert place.revisions()[-1] == ("4", "deployed")
    assert await place.text() == "one"


async def test_a_rollback_without_a_good_revision_is_said_and_not_made_twice(place: Place) -> None:
    await place.wants({"broken": True})
    await run(place, NextAction.INSTALL)
    request = await place.request()
    await roll_back(place.engine(request), request, await place.desired())
    assert place.conditions()["Remediated"] == ("False", "RollbackFailed")
    assert request.status.remediation_failed("RollbackFailed")
    assert place.revisions() == [("1", "failed")]


async def test_a_pending_revision_is_unlocked_as_failed(place: Place) -> None:
    place.store.faults["update", "deployed"] = AWAY
    await place.wants({"text": "one"})
    with pytest.raises(ClusterUnavailable):
        await run(place, NextAction.INSTALL)
    place.store.steps.clear()
    assert await run(place, NextAction.UNLOCK) == 0.0
    assert place.store.steps == [("update", "failed")]


async def test_no_retry_left_is_said_and_waits(place: Place) -> None:
    await place.wants({"broken": True})
    await run(place, NextAction.INSTALL)
    place.store.steps.clear()
    before = place.manifest()["status"]
    assert await run(place, NextAction.STALL) is None
    assert place.manifest()["status"] == before
    assert place.store.steps == []


async def test_a_revision_that_is_ready_after_all_is_confirmed(place: Place) -> None:
    await install(place, {"text": "one"})
    record = await place.store.read(place.namespace, "app", 1)
    late = replace(record, status="failed", annotations={**record.annotations, "gitsync.dev/failure": "NotReadyInTime"})
    await place.store.update(late, place.namespace)
    request = await place.request()
    assert await confirm(place.engine(request), request, await place.desired())
    assert place.revisions() == [("1", "deployed")]


async def test_the_objects_of_a_revision_that_is_confirmed_are_asked_for_together(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await install(place, {"text": "one"})
    record = await place.store.read(place.namespace, "app", 1)
    more = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"more-{number}", "namespace": place.namespace}}
        for number in range(5)
    ]
    for manifest in more:
        await place.cluster.apply(manifest, manager="test")
    text = "".join(f"---\n{json.dumps(manifest)}\n" for manifest in more)
    late = replace(
        record,
        status="failed",
        manifest=record.manifest + text,
        annotations={**record.annotations, "gitsync.dev/failure": "NotReadyInTime"},
    )
    await place.store.update(late, place.namespace)
    asking, most = 0, 0
    find = Cluster.find

    async def counted(self: Cluster, key: ObjectKey, *, version: str = "") -> Manifest | None:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        try:
            return await find(self, key, version=version)
        finally:
            asking -= 1

    monkeypatch.setattr(Cluster, "find", counted)
    request = await place.request()
    assert await confirm(place.engine(request), request, await place.desired())
    assert most > len(more)


async def test_the_chart_s_tests_leave_their_result_in_the_record_and_the_status(place: Place) -> None:
    await install(place, {"text": "one"})
    await place.wants({"text": "one"}, test={"enable": True})
    assert await run(place, NextAction.TEST) == 0.0
    assert place.store.steps == [("update", "deployed")]
    record = await place.store.read(place.namespace, "app", 1)
    assert record.annotations[TESTS] == "Succeeded"
    assert record.hooks[0]["last_run"]["phase"] == "Succeeded"
    assert place.conditions()["TestSuccess"] == ("True", "TestSucceeded")
    assert place.message().endswith("1 test hook completed successfully")


async def test_tests_whose_result_cannot_be_written_run_again(place: Place) -> None:
    await install(place, {"text": "one"})
    await place.wants({"text": "one"}, test={"enable": True})
    place.store.faults["update", "deployed"] = AWAY
    with pytest.raises(ClusterUnavailable):
        await run(place, NextAction.TEST)
    assert "TestSuccess" not in place.conditions()
    assert await run(place, NextAction.TEST) == 0.0
    assert place.conditions()["TestSuccess"] == ("True", "TestSucceeded")


async def test_what_is_adopted_is_marked_and_told_once(place: Place) -> None:
    await install(place, {"text": "one"})
    request = await place.request()
    record = await place.store.read(place.namespace, "app", 1)
    await adopt(place.engine(request), request, await place.desired(), record)
    assert place.store.steps == [("mark", "deployed")]
    version = place.manifest()["metadata"]["resourceVersion"]
    await adopt(place.engine(request), request, await place.desired(), record)
    assert place.manifest()["metadata"]["resourceVersion"] == version, "the status has it already"


async def test_an_uninstall_can_be_called_until_it_succeeds(place: Place) -> None:
    await install(place, {"text": "one"})
    place.store.faults["delete", "1"] = AWAY
    request = await place.request()
    engine, ref = place.engine(request), (await place.desired()).ref
    with pytest.raises(ClusterUnavailable):
        await uninstall(engine, request, ref)
    assert place.revisions() == [("1", "uninstalling")]
    await uninstall(engine, request, ref)
    assert place.revisions() == []
    assert await place.cluster.find(ObjectKey("", "ConfigMap", place.namespace, "settings")) is None
    await uninstall(engine, request, ref)


async def test_an_uninstall_that_fails_names_the_release(place: Place) -> None:
    await install(place, {"text": "one"})
    place.store.faults["update", "uninstalling"] = RecordError("too large", secret="x")
    request = await place.request()
    with pytest.raises(UninstallFailed, match=r"for release .*/app.v1 with chart app@1.0.0: too large"):
        await uninstall(place.engine(request), request, (await place.desired()).ref)


async def test_there_is_no_action_for_what_is_no_action_on_a_release(place: Place) -> None:
    await place.wants({"text": "one"})
    with pytest.raises(ValueError, match="block is no action on a release"):
        await run(place, NextAction.BLOCK)
