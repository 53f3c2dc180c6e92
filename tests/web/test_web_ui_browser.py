"""The page in a real browser, where there is one."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster, WatchEvent
from gitsync.preview.asking import AskedRepository
from gitsync.settings import Settings
from gitsync.sync.storage.configmaps import SyncStore
from gitsync.sync.storage.history import JournalChange, JournalEntry, Span, append
from gitsync.web.ui import Page as PageOf
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.git.git_world import Repository
from tests.until import until
from tests.web.conftest import COMMIT, Visiting, Visitor, World
from tests.web.revisions import two_revisions

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: Set by .ci/run: there, a test that has no browser fails.
NEEDED = bool(os.environ.get("GITSYNC_NEED_CHROMIUM"))

pytestmark = [
    pytest.mark.e2e,  # a browser
    pytest.mark.skipif(CHROMIUM is None and not NEEDED, reason="there is no Chromium on the PATH"),
]


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    assert CHROMIUM is not None, "there is no Chromium on the PATH"
    async with async_playwright() as playwright:
        # Chromium's own sandbox refuses root, as whom tests may run in a container.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, visitor: Visitor, **options: Any) -> AsyncIterator[tuple[BrowserContext, Page]]:
    """The overview in a browser of its own, in which nothing is complained of."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(visitor.address)
    yield context, page
    await context.close()
    assert complaints == []


async def test_a_change_comes_onto_the_page_by_itself_and_leaves_the_reader_where_he_is(
    browser: Browser, visitor: Visitor, world: World
) -> None:
    release = await world.release("redis")
    async with opened(browser, visitor) as (_, page):
        await expect(page.locator("#live")).to_have_text("live")
        await page.goto(f"{visitor.base}/releases")
        line = page.locator("tr[data-row]", has_text="redis")
        await expect(line).to_contain_text("waiting")
        await page.locator("input[name=q]").nth(1).fill("half-typed")
        await world.say(release, "False", "UpgradeFailed", "it broke")
        await expect(line).to_contain_text("it broke")
        await expect(page.locator("input[name=q]").nth(1)).to_have_value("half-typed")
        await world.say(release, "True", "UpgradeSucceeded", "it is well")
        await expect(line).to_contain_text("ready")


async def test_a_change_is_on_the_page_soon_after_the_watch_has_it(
    browser: Browser, visitor: Visitor, world: World
) -> None:
    """Ten times, each from when the watch tells of it until the browser's document has it; by one clock."""
    release, waits = await world.release("redis"), []
    heard: dict[str, float] = {}
    async with opened(browser, visitor) as (_, page):
        await page.goto(f"{visitor.base}/releases")
        await expect(page.locator("#live")).to_have_text("live")
        await page.evaluate(_NOTES_CHANGES)
        watch = world.cluster.watch("helm.toolkit.fluxcd.io", "HelmRelease", namespace=world.namespace)
        async with watch:
            watch.subscribe(partial(_note, heard))
            for number in range(10):
                words = f"moment-{number:02}"
                release = await world.say(release, "False", "UpgradeFailed", words)
                await expect(page.locator("tr[data-row]", has_text="redis")).to_contain_text(words)
                await until(lambda words=words: words in heard)
                waits.append(await page.evaluate("words => window.noted[words]", words) / 1000 - heard[words])
        loads = [await page.evaluate(_LOADS) / 1000 for _ in range(5)]
    median = statistics.median(waits)
    print("from the watch to the page:", [f"{it:.3f}" for it in sorted(waits)], "a load:", f"{min(loads):.3f}")
    # 0.3 s is the goal; a machine that has other work takes its time for all that it does.
    assert median < max(0.3, 10 * statistics.median(loads))


#: When which words came onto the page, in milliseconds of the clock.
_NOTES_CHANGES = """() => {
    window.noted = {};
    new MutationObserver(() => {
        for (const words of document.body.textContent.match(/moment-\\d\\d/g) ?? [])
            window.noted[words] ??= performance.timeOrigin + performance.now();
    }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
#: How long the page takes to be had again, in milliseconds.
_LOADS = """async () => {
    const begun = performance.now();
    await (await fetch(location.href)).text();
    return performance.now() - begun;
}"""


def _note(heard: dict[str, float], event: WatchEvent) -> None:
    conditions = (event.manifest.get("status") or {}).get("conditions") or [{}]
    heard.setdefault(str(conditions[0].get("message", "")), time.time())


async def test_a_page_that_nobody_sees_holds_no_connection_and_one_that_is_seen_again_is_current(
    browser: Browser, visitor: Visitor, world: World
) -> None:
    async def see(page: Page, *, hidden: bool) -> None:
        # Chromium without a screen takes all of its tabs for seen.
        seen = f"Object.defineProperty(document, 'hidden', {{value: {str(hidden).lower()}, configurable: true}})"
        await page.evaluate(f"{seen}; document.dispatchEvent(new Event('visibilitychange'))")

    async with opened(browser, visitor) as (_, page):
        await expect(page.locator("#live")).to_have_text("live")
        await see(page, hidden=True)
        await world.release("redis")
        await until(lambda: visitor.page.stream.open == 0)
        assert await page.locator("main", has_text="redis").count() == 0
        await see(page, hidden=False)
        await expect(page.locator("main")).to_contain_text("redis")
        assert visitor.page.stream.open == 1


async def test_keys(browser: Browser, visitor: Visitor, world: World) -> None:
    for name in ("backend", "redis"):
        await world.release(name)
    async with opened(browser, visitor) as (_, page):
        await page.goto(f"{visitor.base}/releases")
        await expect(page.locator("tr[data-row]")).to_have_count(2)
        await page.keyboard.press("j")
        await expect(page.locator("tr", has_text="backend").locator("a.go")).to_be_focused()
        await page.keyboard.press("j")
        await expect(page.locator("tr", has_text="redis").locator("a.go")).to_be_focused()
        await page.keyboard.press("k")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text("backend")
        await page.wait_for_load_state()  # keys are heard once its scripts run
        await page.keyboard.press("?")
        await expect(page.locator("#keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#keys")).to_be_hidden()
        await page.keyboard.press("/")
        await expect(page.locator("#search")).to_be_focused()
        await page.keyboard.type("redis")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text("redis")
        await page.wait_for_load_state()
        await page.keyboard.press("g")
        await page.keyboard.press("o")
        await expect(page).to_have_url(f"{visitor.base}/")


async def test_it_can_be_read_and_used_without_javascript(browser: Browser, visitor: Visitor, world: World) -> None:
    await world.release("redis")
    async with opened(browser, visitor, java_script_enabled=False) as (_, page):
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Releases").click()
        await page.get_by_role("link", name="redis").first.click()
        await page.get_by_role("link", name="Suspend").click()
        await page.get_by_role("button", name="Suspend").click()
        await expect(page.locator("main")).to_contain_text("Suspend was asked for")
        await expect(page.locator("h1")).to_contain_text("suspended")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_it_fits_the_screen_in_light_and_dark(
    browser: Browser, visitor: Visitor, world: World, scheme: Any, width: int
) -> None:
    release = await world.release("a-rather-long-name-of-a-release-that-somebody-has-thought-up", needs=("nobody",))
    message = f"not ready: {'a/very/long/path' * 20}"
    await world.say(release, "False", "UpgradeFailed", message)
    viewport = {"width": width, "height": 700}
    async with opened(browser, visitor, color_scheme=scheme, viewport=viewport) as (_, page):
        paths = ("/", "/releases", "/graph", "/commits")
        path = f"/object/helm.toolkit.fluxcd.io/HelmRelease/{world.namespace}/{release['metadata']['name']}"
        for address in (*paths, path):
            await page.goto(visitor.base + address)
            await expect(page.locator("main h1")).to_be_attached()
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, address
        colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, colour[4:-1].split(","))) < 64) is (scheme == "dark")


@asynccontextmanager
async def with_repository(
    control_plane: ControlPlane, cluster: Cluster, world: World, tmp_path: Path
) -> AsyncIterator[tuple[Visitor, str]]:
    """A page that knows its repository, in which two commits were synced; and the newer of them."""
    origin = Repository.make(tmp_path / "origin")
    name = "a-rather-long-name-of-an-object-that-somebody-has-thought-up-on-a-monday"
    entries: tuple[JournalEntry, ...] = ()
    for number in range(2):
        metadata = f"metadata: {{name: {name}, namespace: {world.namespace}}}"
        text = f"apiVersion: v1\nkind: ConfigMap\n{metadata}\ndata: {{a: {'long ' * 40}{number}}}\n"
        commit = origin.commit({f"fleet/{name}.yaml": text}, "a subject " * 12)
        spans = (
            Span("apply", "", 0.1, 0.2),
            Span("wait", "for-what-takes-long-" * 9, 0.2, 7.5),
            Span("settle", "x", 7.5, 9),
        )
        change = JournalChange("changed", f"ConfigMap/{world.namespace}/{name}", f"fleet/{name}.yaml:1:1", "", spans)
        entry = JournalEntry(commit, "Ann", "a subject " * 12, 1767323045.0 + number, 9.0, "succeeded", {}, (change,))
        entries = append(entries, replace(entry, began=entry.time - 9.0))
    await SyncStore(cluster, world.namespace, "gitsync").save_journal(entries)
    settings = Settings(
        repo=str(origin.path), path="fleet", kubeconfig=control_plane.kubeconfig, state_dir=tmp_path / "state"
    )
    repository = AskedRepository(settings)
    async with Visiting(
        PageOf(cluster, (world.namespace, "gitsync"), world.namespace, repository=repository)
    ) as visitor:
        await until(lambda: len(visitor.page.board.commits) == 2)
        yield visitor, commit


@pytest.mark.parametrize("width", [320, 1280])
async def test_commits_revisions_and_plans_fit_the_screen_and_can_be_read(
    browser: Browser, control_plane: ControlPlane, cluster: Cluster, world: World, tmp_path: Path, width: int
) -> None:
    await two_revisions(world)
    release = f"/object/helm.toolkit.fluxcd.io/HelmRelease/{world.namespace}/redis"
    async with (
        with_repository(control_plane, cluster, world, tmp_path) as (visitor, commit),
        opened(browser, visitor, viewport={"width": width, "height": 700}) as (_, page),
    ):
        pages = {
            f"/commits/{commit}": "waits for others",
            f"/commits/{commit}/difference": "changed",
            f"{release}/revisions": "From revision 1 to 2",
            f"{release}/values": "What was given",
            f"{release}/rollback?revision=1": "Back to revision 1",
            "/pending": "which is synced",
            "/pending/plan": "to create",
            f"/graph?open={release}": "Fold all",
        }
        for path, words in pages.items():
            await page.goto(visitor.base + path, timeout=120_000)
            await expect(page.locator("main")).to_contain_text(words)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
            await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        await page.goto(f"{visitor.base}/commits/{commit}")
        bars = page.locator("svg.way rect")
        await expect(bars).to_have_count(3)
        wide = [await bars.nth(number).evaluate("bar => bar.getBoundingClientRect().width") for number in range(3)]
        assert wide[1] > 4 * wide[2] > wide[0] > 0, "bars are as wide as what they stand for was long"
        await page.keyboard.press("g")
        await page.keyboard.press("p")
        await expect(page).to_have_url(f"{visitor.base}/pending")


async def test_a_plan_is_asked_for_and_read_without_javascript(
    browser: Browser, control_plane: ControlPlane, cluster: Cluster, world: World, tmp_path: Path
) -> None:
    async with (
        with_repository(control_plane, cluster, world, tmp_path) as (visitor, _),
        opened(browser, visitor, java_script_enabled=False) as (_, page),
    ):
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Pending").click()
        await page.get_by_role("link", name="What it would do now").click(timeout=120_000)
        await expect(page.locator("main")).to_contain_text("1 to create")
        await page.get_by_role("link", name="Plan again").click(timeout=120_000)
        await expect(page.locator("main")).to_contain_text("1 to create")


async def test_screen_readers_find_landmarks_and_names(browser: Browser, visitor: Visitor, world: World) -> None:
    await world.release("redis", needs=("nobody",))
    async with opened(browser, visitor) as (_, page):
        for role in ("banner", "main", "contentinfo", "search"):
            await expect(page.get_by_role(role)).to_have_count(1)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        for path in ("/releases", "/graph"):
            await page.goto(visitor.base + path)
            nameless = await page.evaluate(
                "[...document.querySelectorAll('a, button, input:not([type=hidden]), select')]"
                ".filter(item => !(item.textContent.trim() || item.labels?.length || item.getAttribute('aria-label')))"
                ".map(item => item.outerHTML)"
            )
            assert nameless == []


async def test_the_first_page_of_two_thousand_releases_is_painted_within_a_second(
    browser: Browser, visitor: Visitor, world: World
) -> None:
    one = await world.say(await world.release("app", needs=("base",)), "False", "DependencyNotReady", "it waits")
    known = visitor.page.board.known
    for number in range(2000):
        metadata = {**one["metadata"], "name": f"app-{number}", "namespace": f"team-{number % 40}"}
        spec = {**one["spec"], "dependsOn": [{"name": f"app-{number - 40}"}] if number >= 40 else []}
        manifest = {**one, "metadata": metadata, "spec": spec}
        known.update(ObjectKey.of(manifest), manifest)
    visitor.page.board.tell()
    paints, loads = [], []
    async with opened(browser, visitor) as (_, page):
        for _ in range(3):
            await page.goto(visitor.base)
            await expect(page.locator("main")).to_contain_text("of 2001 ready")
            paints.append(await page.evaluate(_FIRST_PAINT) / 1000)
        await page.goto(f"{visitor.base}/commits")
        loads = [await page.evaluate(_LOADS) / 1000 for _ in range(5)]
    print("first paints:", paints, "a small page:", loads)
    # A second is the goal; a machine that has other work takes its time for all that it does.
    assert min(paints) < max(1.0, 100 * statistics.median(loads))


#: Until the browser has painted something of the page, in milliseconds since it was asked for.
_FIRST_PAINT = """async () => {
    for (;;) {
        const [found] = performance.getEntriesByName("first-contentful-paint");
        if (found) return found.startTime;
        await new Promise((done) => setTimeout(done, 20));
    }
}"""


async def test_bars_of_what_is_under_way_grow_by_themselves_until_it_is_over(
    browser: Browser, visitor: Visitor, world: World
) -> None:
    store = SyncStore(world.cluster, world.namespace, "gitsync")
    now = time.time()
    change = JournalChange("created", "HelmRelease/apps/redis", spans=(Span("settle", "it becomes ready", 0.0, 3.0),))
    running = JournalEntry(COMMIT, "Ann", "a subject", now, 3.0, "running", {}, (change,), began=now - 3)
    async with opened(browser, visitor) as (_, page):
        await page.goto(f"{visitor.base}/commits")
        await store.save_under_way({"": (running,)})
        await page.get_by_role("link", name=COMMIT[:7]).click()
        took = page.locator(".wait b")
        first = float((await took.inner_text()).split()[0])
        await page.wait_for_function(
            "first => parseFloat(document.querySelector('.wait b').textContent) > first + 2", arg=first
        )
        await expect(page.locator("rect.goes-on")).to_have_count(1)
        await store.save_journal((replace(running, result="succeeded", time=time.time() + 1, took=9.0),))
        await expect(page.locator("main")).to_contain_text("succeeded in 9.0 s")
        await store.save_under_way({})
        await expect(page.locator("rect.goes-on")).to_have_count(0)
        assert await page.evaluate("document.getElementById('main').dataset.refresh") == ""
