"""What a commit that is not synced yet would do, and what a branch would, by a real repository and a real cluster."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from gitsync.cluster import Cluster
from gitsync.preview.asking import AskedRepository
from gitsync.settings import Settings
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.history import JournalEntry
from gitsync.web.ui import Page
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.git.git_world import Repository
from tests.web.conftest import Visiting, World
from tests.web.pages import plain, shown, until_shown

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: app, namespace: {namespace}}}\ndata: {{level: {level}}}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {{name: login, namespace: {namespace}}}\nstringData: {{a: {value}}}\n"


async def test_what_is_pending_and_what_a_branch_would_do(
    control_plane: ControlPlane, cluster: Cluster, world: World, tmp_path: Path
) -> None:
    namespace = world.namespace
    origin = Repository.make(tmp_path / "origin")
    first = origin.commit({"fleet/app.yaml": MAP.format(namespace=namespace, level="info")})
    origin.git("checkout", "--quiet", "-b", "feature/<b>bold</b>")
    secret = SECRET.format(namespace=namespace, value="hunter2")
    origin.commit({"fleet/app.yaml": MAP.format(namespace=namespace, level="debug"), "fleet/secret.yaml": secret})
    origin.git("checkout", "--quiet", "-")
    settings = Settings(
        repo=str(origin.path), path="fleet", kubeconfig=control_plane.kubeconfig, state_dir=tmp_path / "state"
    )
    entry = JournalEntry(first, "Ann", "begin", 1767323045.0, 1.0, "succeeded")
    await SyncStore(cluster, namespace, "gitsync").save_journal((entry,))
    page = Page(cluster, (namespace, "gitsync"), namespace, repository=AskedRepository(settings))
    async with Visiting(page) as visitor:
        words = plain(await until_shown(visitor, "/pending", "which is synced"))
        assert f"is at {first[:7]} , which is synced: begin" in words
        text = await shown(visitor, "/pending")
        assert "<b>bold" not in text
        assert 'href="/pending"' in await shown(visitor, "/")

        plan = await shown(visitor, "/pending/plan?branch=feature/%3Cb%3Ebold%3C/b%3E")
        words = plain(plan)
        assert f"create ConfigMap {namespace}/ app" in words
        assert "+ level: debug" in words
        assert f"create Secret {namespace}/ login" in words
        assert "hunter2" not in plan

        second = origin.commit({"fleet/app.yaml": MAP.format(namespace=namespace, level="warn")})
        words = plain(await until_shown(visitor, "/pending", "which is not synced yet"))
        assert f"is at {second[:7]} , which is not synced yet. Synced last was {first[:7]} begin" in words
        assert "+ level: warn" in plain(await shown(visitor, "/pending/plan"))

        store = SyncStore(cluster, namespace, "gitsync")
        held = JournalEntry(second, "Ann", "much", 1767323046.0, 1.0, "held", why="it would delete all")
        await store.save_journal((held, entry))
        words = plain(await until_shown(visitor, "/pending", "what it would delete"))
        assert f"is at {second[:7]} , which is held until somebody confirms it: what it would delete" in words
        assert f"Synced last was {first[:7]} begin" in words
        begun = replace(held, result="running", time=time.time(), began=time.time() - 2)
        await store.save_under_way({"": (begun,)})
        words = plain(await until_shown(visitor, "/pending", "which is under way"))
        assert f"Synced last was {first[:7]} begin" in words

        status, text = await visitor.get("/pending/plan?branch=no-such-branch")
        assert status == 502
        assert "does not exist" in plain(text)
        assert (await visitor.get("/pending/plan?branch=--upload-pack%3Dx"))[0] == 502


async def test_without_a_repository_there_is_nothing_pending(cluster: Cluster, namespace: str) -> None:
    async with Visiting(Page(cluster, (namespace, "gitsync"), namespace)) as visitor:
        assert (await visitor.get("/pending"))[0] == 404
        assert 'href="/pending"' not in await shown(visitor, "/")
