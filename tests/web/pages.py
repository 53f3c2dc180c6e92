"""The page, as a browser gets it."""

from __future__ import annotations

import html
import re

from tests.until import until
from tests.web.conftest import Visitor

RELEASE = "/object/helm.toolkit.fluxcd.io/HelmRelease"


def plain(text: str) -> str:
    """The words of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


async def shown(visitor: Visitor, path: str) -> str:
    status, text = await visitor.get(path)
    assert status == 200, text
    return text


async def until_shown(visitor: Visitor, path: str, wanted: str) -> str:
    """The page, once it has these words."""
    found = ""

    async def has() -> bool:
        nonlocal found
        found = await shown(visitor, path)
        return wanted in plain(found)

    await until(has)
    return found


def token_in(text: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]+)"', text)
    assert found
    return found[1]
