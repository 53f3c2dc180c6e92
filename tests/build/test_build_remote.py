"""What a kustomization names by URL: read as kustomize reads it, and put where nothing else can be reached."""

from __future__ import annotations

import pytest

from gitsync.build import RemoteDirectory, RemoteFile
from gitsync.build.remote import NotFetched, Remote, read_remote


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://github.com/org/app//config?ref=v1", RemoteDirectory("https://github.com/org/app", "config", "v1")),
        (
            "https://github.com/org/app/config/crd?ref=v1",
            RemoteDirectory("https://github.com/org/app", "config/crd", "v1"),
        ),
        ("https://github.com/org/app", RemoteDirectory("https://github.com/org/app", "", "")),
        ("https://git.example/x/y?submodules=false", RemoteDirectory("https://git.example/x/y", "", "", False)),
        ("https://git.example/x/y?submodules=1", RemoteDirectory("https://git.example/x/y", "", "")),
        ("https://github.com/org/app.git/a?version=2", RemoteDirectory("https://github.com/org/app.git", "a", "2")),
        ("github.com/org/app/a?ref=main", RemoteDirectory("https://github.com/org/app", "a", "main")),
        ("git::https://git.example/x/y/z//a", RemoteDirectory("https://git.example/x/y/z", "a", "")),
        ("https://git.example:8443/x/y.git", RemoteDirectory("https://git.example:8443/x/y.git", "", "")),
        ("https://git.example/x/y/a?ref=dev&timeout=9s", RemoteDirectory("https://git.example/x/y", "a", "dev")),
        (
            "https://dev.azure.example/org/project/_git/app/deploy?ref=a",
            RemoteDirectory("https://dev.azure.example/org/project/_git/app", "deploy", "a"),
        ),
        ("https://github.com/org/app/releases/download/v1/all.yaml", RemoteFile),
        ("https://raw.example/org/app/main/x.YML", RemoteFile),
        ("https://example.org/manifests?name=x", RemoteFile),
        ("http://example.org/x.json", RemoteFile),
    ],
)
def test_the_spellings_of_kustomize(text: str, found: Remote | type[RemoteFile]) -> None:
    assert read_remote(text) == (RemoteFile(text) if found is RemoteFile else found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ssh://git@example.org/org/app", "is not fetched"),
        ("git@github.com:org/app.git", "is not fetched"),
        ("file:///etc", "is not fetched"),
        ("gh:org/app", "is not fetched"),
        ("https://ann:secret@example.org/x//y", "has a login in it"),
        ("https://github.com/org/app//../../x", "leads out of one"),
        ("https://github.com//x", "names no repository"),
        ("https://example.org:port/x//y", "cannot be read as a URL"),
    ],
)
def test_what_is_not_fetched(text: str, why: str) -> None:
    with pytest.raises(NotFetched, match=why) as caught:
        read_remote(text)
    assert "secret" not in caught.value.message + caught.value.hint
