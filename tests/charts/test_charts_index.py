from __future__ import annotations

import hashlib
import json

import pytest

from gitsync.errors import ChartError, ChartNotFound
from gitsync.helm.index import read
from gitsync.sources.helm import IndexEntry, redacted
from gitsync.sources.helm.index import Index, index_url, lines_of
from gitsync.spool import Body

URL = "https://charts.example/stable"

WRITTEN_BY_HELM = """\
apiVersion: v1
entries:
  redis:
  - annotations:
      images: |
        - name: redis
          image: redis:7
    apiVersion: v2
    appVersion: 7.0.5
    created: "2022-11-29T10:00:00.123456789Z"
    description: "a store: quick, and with a colon"
    digest: AAAA
    name: redis
    urls:
    - redis-17.3.14.tgz
    version: 17.3.14
  - created: "2022-12-29T10:00:00Z"
    digest: sha256:bbbb
    name: redis
    urls:
    - https://other.example/redis-17.4.0.tgz
    - redis-17.4.0.tgz
    version: 17.4.0
  "yes":
  - name: "yes"
    urls: [yes.tgz]
    version: 1.0.0
generated: "2022-12-29T10:00:00Z"
"""


def parsed(text: str, url: str = URL) -> Index:
    data = text.encode()
    lines = Body.of(read(data, redacted(url)))
    return Index(url, "sha256:" + hashlib.sha256(data).hexdigest(), lines, len(list(lines_of(lines))))


def listed(index: Index) -> dict[str, tuple[IndexEntry, ...]]:
    names = [json.loads(line)[0] for line in lines_of(index.lines)]
    return {name: index.entries(name) for name in names}


def test_keeps_what_fetching_needs_newest_first() -> None:
    index = parsed(WRITTEN_BY_HELM)

    assert listed(index) == {
        "redis": (
            IndexEntry(
                "17.4.0",
                "bbbb",
                ("https://other.example/redis-17.4.0.tgz", "redis-17.4.0.tgz"),
                "2022-12-29T10:00:00Z",
            ),
            IndexEntry("17.3.14", "aaaa", ("redis-17.3.14.tgz",), "2022-11-29T10:00:00.123456789Z", "7.0.5"),
        ),
        "yes": (IndexEntry("1.0.0", "", ("yes.tgz",)),),
    }


def test_the_revision_is_the_digest_of_the_file() -> None:
    assert parsed(WRITTEN_BY_HELM).revision == "sha256:" + hashlib.sha256(WRITTEN_BY_HELM.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"apiVersion": "v1", "entries": {"a": [{"version": "1.0.0", "urls": ["a.tgz"]}]}}),
        "apiVersion: v1\nentries: {a: [{version: 1.0.0, urls: [a.tgz]}]}\n",
        "apiVersion: v1\nentries:\n    a:\n    - version: 1.0.0\n      urls: [a.tgz]\n",
        "entries:\n  a:\n    - version: 1.0.0\n      urls:\n        - a.tgz\napiVersion: v1\n",
        "\ufeffapiVersion: v1\r\nentries:\r\n  a:\r\n  - version: 1.0.0\r\n    urls: [a.tgz]\r\n",
        "apiVersion: v1\nx: &urls [a.tgz]\nentries:\n  a:\n  - version: 1.0.0\n    urls: *urls\n",
        "apiVersion: v1\nentries:\n# by hand\n  a: # the only one\n  - version: 1.0.0\n    urls: [a.tgz]\n",
    ],
)
def test_other_layouts_mean_the_same(text: str) -> None:
    assert listed(parsed(text)) == {"a": (IndexEntry("1.0.0", "", ("a.tgz",)),)}


def test_a_large_index_cut_into_pieces_has_every_chart() -> None:
    charts = [f"chart-{n}" for n in range(300)]
    entry = '  - version: {v}\n    urls: [a.tgz]\n    description: "{d}"\n'
    body = "".join(
        f"  {name}:\n" + "".join(entry.format(v=f"1.{v}.0", d="x" * 400) for v in range(10)) for name in charts
    )

    index = parsed(f"apiVersion: v1\nentries:\n{body}")

    assert len(body) > 1_000_000
    assert set(listed(index)) == set(charts)
    assert {len(entries) for entries in listed(index).values()} == {10}


def test_entries_that_cannot_be_used_are_left_out_and_the_rest_stays() -> None:
    entries = [
        {"version": "1.0.0", "urls": ["good.tgz"]},
        {"version": "not a version", "urls": ["a.tgz"]},
        {"urls": ["a.tgz"]},
        {"version": "1.1.0"},
        {"version": 2, "urls": ["a.tgz"]},
        None,
        "text",
        {"version": "1.2.0", "urls": [1, "b.tgz"], "digest": 5, "created": None},
    ]

    index = parsed(json.dumps({"apiVersion": "v1", "entries": {"a": entries, "empty": None}}))

    assert [(entry.version, entry.urls) for entry in index.entries("a")] == [
        ("1.2.0", ("b.tgz",)),
        ("1.0.0", ("good.tgz",)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "entries: {}\n",
        "<html>Not found</html>",
        "[1, 2]",
        "apiVersion: v1\nentries: [a]\n",
        "a: [",
        "{",
        '{"apiVersion": "v1", "entries": {"a": 1}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_index_is_refused(text: str) -> None:
    with pytest.raises(ChartError, match="stable"):
        parsed(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ChartError, match="no UTF-8"):
        read(b"\xff\xfe\x00", URL)


def test_an_index_without_charts_is_an_index() -> None:
    assert listed(parsed("apiVersion: v1\nentries: {}\n")) == {}


def test_chart_and_version_are_chosen_or_the_error_says_what_there_is() -> None:
    index = parsed(WRITTEN_BY_HELM)

    assert index.choose(index.entries("redis"), "redis", "17.3.14").version == "17.3.14"
    assert index.choose(index.entries("redis"), "redis", "").version == "17.4.0"
    with pytest.raises(ChartNotFound, match=r"no chart 'valkey' in https://charts\.example/stable"):
        index.choose(index.entries("valkey"), "valkey", "*")
    with pytest.raises(ChartNotFound, match="no version '>=18'") as caught:
        index.choose(index.entries("redis"), "redis", ">=18")
    assert caught.value.hint == "the newest is 17.4.0"
    with pytest.raises(ChartNotFound, match="'newest' is not a version constraint"):
        index.choose(index.entries("redis"), "redis", "newest")


@pytest.mark.parametrize(
    ("repository", "url", "expected"),
    [
        ("https://h/stable", "a.tgz", "https://h/stable/a.tgz"),
        ("https://h/stable/", "sub/a.tgz", "https://h/stable/sub/a.tgz"),
        ("https://h/stable", "../charts/a.tgz", "https://h/charts/a.tgz"),
        ("https://h/stable", "/a.tgz", "https://h/a.tgz"),
        ("https://h/stable", "https://o.example/a.tgz?X=%2F", "https://o.example/a.tgz?X=%2F"),
        ("https://h/stable?token=a%2Fb", "a.tgz", "https://h/stable/a.tgz?token=a%2Fb"),
        ("https://h/a%20b", "c%2Bd.tgz", "https://h/a%20b/c%2Bd.tgz"),
    ],
)
def test_archives_are_found_below_the_repositorys_url(repository: str, url: str, expected: str) -> None:
    index = Index(repository, "", Body.of(b""), 0)

    assert index.archive_urls(IndexEntry("1.0.0", "", (url,))) == [expected]


def test_the_index_is_found_below_the_repositorys_url() -> None:
    assert index_url("https://h/stable/?token=x") == "https://h/stable/index.yaml?token=x"
    assert index_url("http://h") == "http://h/index.yaml"
    with pytest.raises(ChartError, match="no http"):
        index_url("file:///etc")
