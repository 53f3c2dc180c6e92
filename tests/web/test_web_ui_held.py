"""A commit that is held, on the page: said, shown, confirmed; and one that is under way."""

from __future__ import annotations

import time
from dataclasses import replace

from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.history import JournalChange, JournalEntry, Span
from gitsync.sync.storage.inventory import Inventory
from gitsync.web.ui import Page, Readers
from tests.until import until
from tests.web.conftest import COMMIT, Visiting, Visitor, World, visiting
from tests.web.pages import plain, shown, token_in, until_shown

PATH = f"/commits/{COMMIT}"
WHY = "it drops 12 of 14 objects, and those that no other sync or release wants would be deleted"
GOES = JournalChange("waiting", "ConfigMap/apps/settings", "fleet/settings.yaml:1:1", "would be deleted")


def held() -> JournalEntry:
    counts = {"waiting": 1}
    return JournalEntry(COMMIT, "Ann", "tidy <b>up</b>", time.time(), 0.1, "held", counts, (GOES,), why=WHY)


async def keep(world: World, *entries: JournalEntry) -> SyncStore:
    store = SyncStore(world.cluster, world.namespace, "gitsync")
    await store.save_inventory(Inventory())
    await store.save_journal(entries)
    return store


async def allowed(cluster: Cluster, namespace: str) -> str | None:
    found = await cluster.get(ObjectKey("", "ConfigMap", namespace, "gitsync-inventory"))
    return (found["metadata"].get("annotations") or {}).get("gitsync.dev/allow-mass-prune")


async def test_a_commit_that_is_held_is_said_on_every_page_and_confirmed_after_a_second_question(
    visitor: Visitor, world: World
) -> None:
    store = await keep(world, held())
    text = await until_shown(visitor, "/", "is held")
    for path in ("/", "/releases", "/commits", "/graph"):
        words = plain(await shown(visitor, path))
        assert f"Commit {COMMIT[:7]} is held until somebody confirms it: {WHY}. Nothing of it is applied." in words
    assert f'href="{PATH}"' in text
    assert "<b>up</b>" not in text
    words = plain(await shown(visitor, PATH))
    assert "It drops 1 object ConfigMap/apps/settings fleet/settings.yaml:1" in words
    assert f"annotate --overwrite configmap gitsync-inventory gitsync.dev/allow-mass-prune={COMMIT[:7]}" in words
    asked = await shown(visitor, f"{PATH}/confirm")
    assert "ConfigMap/apps/settings" in plain(asked)
    assert (await visitor.post(f"{PATH}/confirm", {"token": "somebody else's"}))[0] == 403
    assert await allowed(world.cluster, world.namespace) is None
    assert (await visitor.post(f"{PATH}/confirm", {"token": token_in(asked)}))[0] == 303
    assert await allowed(world.cluster, world.namespace) == COMMIT
    assert "It was confirmed" in plain(await shown(visitor, PATH))
    done = JournalEntry(COMMIT, "Ann", "tidy", time.time(), 1.0, "succeeded", {"deleted": 1})
    await store.save_journal((done,))
    words = plain(await until_shown(visitor, PATH, "succeeded"))
    assert "held" not in words
    assert (await visitor.get(f"{PATH}/confirm"))[0] == 404
    assert (await visitor.post(f"{PATH}/confirm", {"token": token_in(asked)}))[0] == 404


async def test_a_commit_that_is_not_the_one_that_is_held_cannot_be_confirmed(visitor: Visitor, world: World) -> None:
    before = JournalEntry("b" * 40, "Ann", "before", 1767323045.0, 0.1, "succeeded", {})
    await keep(world, held(), before)
    await until_shown(visitor, "/", "is held")
    token = token_in(await shown(visitor, f"{PATH}/confirm"))
    assert (await visitor.post(f"/commits/{'b' * 40}/confirm", {"token": token}))[0] == 404
    assert await allowed(world.cluster, world.namespace) is None
    assert "gitsync.dev/allow-mass-prune" not in await shown(visitor, f"/commits/{'b' * 40}")


async def test_who_may_not_confirm_is_told_so_and_by_whom(cluster: Cluster, world: World, namespace: str) -> None:
    await keep(world, held())
    rbac, metadata = "rbac.authorization.k8s.io", {"name": "looks", "namespace": namespace}
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        "roleRef": {"kind": "Role", "name": "looks", "apiGroup": rbac},
    }
    for manifest in (role, binding):
        await cluster.apply(manifest, manager="test")
    reader = cluster.impersonating(namespace, "default")
    async with reader, visiting(reader, namespace) as visitor:
        await until_shown(visitor, "/", "is held")
        token = token_in(await shown(visitor, f"{PATH}/confirm"))
        status, refused = await visitor.post(f"{PATH}/confirm", {"token": token})
        assert status == 403
        assert 'cannot patch resource "configmaps"' in plain(refused)
    assert await allowed(cluster, namespace) is None


async def test_readers_of_the_agents_page_are_told_how_and_can_do_nothing(cluster: Cluster, world: World) -> None:
    await keep(world, held())
    page = Page(cluster, (world.namespace, "gitsync"), world.namespace, readers=Readers())
    async with Visiting(page) as visitor:
        await until_shown(visitor, "/", "is held")
        text = await shown(visitor, PATH)
        assert f"{PATH}/confirm" not in text
        assert "annotate --overwrite configmap" in plain(text)
        assert (await visitor.get(f"{PATH}/confirm"))[0] == 404
        assert (await visitor.post(f"{PATH}/confirm", {"token": ""}))[0] in (403, 404, 405)


async def test_bars_of_a_commit_that_is_under_way_are_those_so_far(visitor: Visitor, world: World) -> None:
    now = time.time()
    redis = JournalChange("created", "HelmRelease/apps/redis", spans=(Span("settle", "Running 'install'", 0.0, 7.0),))
    backend = JournalChange("waiting", "HelmRelease/apps/backend", spans=(Span("wait", "for redis", 0.0, 7.0),))
    over = JournalChange("created", "ConfigMap/apps/settings", spans=(Span("apply", "", 0.0, 0.5),))
    changes = (redis, backend, over)
    running = JournalEntry(COMMIT, "Ann", "a subject", now, 7.0, "running", {"created": 2}, changes, began=now - 7)
    store = await keep(world)
    await store.save_under_way({"": (running,), "apps/inner": (replace(running, changes=(over,)),)})
    await until_shown(visitor, "/", "under way")
    text = await until_shown(visitor, PATH, "under way")
    words = plain(text)
    assert "under way since" in words
    assert "for redis" in words
    assert "Through the Kustomization apps/inner" in words
    assert text.count("goes-on") == 2
    assert "It is not in the journal" not in words
    assert "data-refresh" in text
    assert f"Going on now {COMMIT[:7]} a subject is being applied since" in plain(await shown(visitor, "/"))
    await store.save_journal((replace(running, result="succeeded", time=time.time() + 1),))
    text = await until_shown(visitor, PATH, "succeeded")
    assert "goes-on" not in text
    await store.save_under_way({})

    async def is_still() -> bool:
        return "data-refresh" not in await shown(visitor, PATH)

    await until(is_still)


async def test_what_a_killed_agent_has_left_long_ago_is_not_under_way(visitor: Visitor, world: World) -> None:
    old = time.time() - 3600
    left = JournalEntry(COMMIT, "Ann", "a subject", old, 7.0, "running", {}, (GOES,), began=old - 7)
    store = await keep(world, JournalEntry("b" * 40, "Ann", "before", old - 60, 0.1, "succeeded", {}))
    await store.save_under_way({"": (left,)})
    await until_shown(visitor, "/commits", "before")
    assert (await visitor.get(PATH))[0] == 404
