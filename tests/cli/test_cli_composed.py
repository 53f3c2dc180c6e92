"""Where in a repository the files are of an artifact that a generator makes of it."""

from __future__ import annotations

from gitsync.api.identity import CommitInfo, Origin
from gitsync.errors import ManifestError
from gitsync.manifests import Desired
from gitsync.preview.composed import paths_in, placed
from gitsync.tree import TreeEntry


def entry(path: str, content: str) -> TreeEntry:
    return TreeEntry(path, content, 1)


def test_a_file_is_where_the_repository_has_its_content_below_a_path_that_ends_alike() -> None:
    repository = [
        entry("apps/base/web.yaml", "one"),
        entry("infrastructure/base/web.yaml", "one"),
        entry("infrastructure/configs/issuers.yaml", "two"),
    ]
    artifact = [entry("base/web.yaml", "one"), entry("configs/issuers.yaml", "two"), entry("merged.yaml", "three")]
    found = paths_in(repository, artifact)
    assert found["configs/issuers.yaml"] == "infrastructure/configs/issuers.yaml"
    assert found["base/web.yaml"] in ("apps/base/web.yaml", "infrastructure/base/web.yaml")
    assert "merged.yaml" not in found


def test_what_was_built_stays_as_it_is_remembered() -> None:
    error = ManifestError("wrong", origin=Origin("configs/issuers.yaml", 3, 1))
    built = Desired(CommitInfo("a" * 40), {}, errors=(error,))
    (moved,) = placed(built, {"configs/issuers.yaml": "infrastructure/configs/issuers.yaml"}).errors
    assert str(moved.origin) == "infrastructure/configs/issuers.yaml:3:1"
    assert str(error.origin) == "configs/issuers.yaml:3:1"
