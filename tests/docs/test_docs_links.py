"""Links between the pages lead somewhere, and no page is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, anchors, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    broken = []
    for target in links(page):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    found: set[Path] = set()
    to_do = [ROOT / "README.md"]
    while to_do:
        page = to_do.pop()
        if page in found or page.suffix != ".md" or not page.is_file():
            continue
        found.add(page)
        to_do += [(page.parent / target.partition("#")[0]).resolve() for target in links(page) if "://" not in target]
    assert set(PAGES) <= found
