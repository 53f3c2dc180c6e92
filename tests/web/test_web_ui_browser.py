"""The page in a real browser, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.until import until
from tests.web.conftest import Visitor, World

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: Set by .ci/run: there, a test that has no browser fails.
NEEDED = bool(os.environ.get("GITSYNC_NEED_CHROMIUM"))

pytestmark = pytest.mark.skipif(CHROMIUM is None and not NEEDED, reason="there is no Chromium on the PATH")


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
        await page.keyboard.press("?")
        await expect(page.locator("#keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#keys")).to_be_hidden()
        await page.keyboard.press("/")
        await expect(page.locator("#search")).to_be_focused()
        await page.keyboard.type("redis")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_contain_text("redis")
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
