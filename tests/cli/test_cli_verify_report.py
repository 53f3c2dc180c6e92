"""How ``gitsync verify`` writes down what hostile commits and charts say."""

from __future__ import annotations

from xml.etree import ElementTree

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.cli.repository import verify_report
from gitsync.diff import render_diff
from gitsync.preview.dryrun import ObjectPreview
from gitsync.preview.plan import Preview
from gitsync.preview.verify import Result, Verification

HOSTILE = (
    "@everyone [click](http://evil.example) `code` ``` <img src=x> | #1 https://evil.example \x1b[31m\ufffe\x00 ]]>"
)
KEY = ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "app")


def result(message: str) -> Verification:
    return Verification("f" * 40, (Result(KEY, "failed", message),), problems=(f"a.yaml:1:1: {message}",), took=1.0)


def outside_of_code(line: str) -> str:
    """What is left of a line of Markdown without its code spans, as CommonMark finds them."""
    left, rest = "", line
    while "`" in rest:
        before, _, rest = rest.partition("`")
        ticks = "`" * (1 + len(rest) - len(rest.lstrip("`")))
        rest = rest.lstrip("`")
        end = next(at for at in range(len(rest)) if rest[at:].startswith(ticks) and rest[at + len(ticks) :][:1] != "`")
        left, rest = left + before, rest[end + len(ticks) :]
    return left + rest


def test_nothing_that_a_commit_brought_is_markup_in_a_comment() -> None:
    text = verify_report.as_markdown(result(HOSTILE), None)
    lines = [line for line in text.splitlines() if "evil" in line]
    assert len(lines) == 2
    assert {outside_of_code(line) for line in lines} == {"- "}
    assert "\x1b" not in text


def test_a_difference_cannot_end_its_block_and_a_huge_one_is_cut() -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "default"},
        "data": {"a": "````\n</details>\n@everyone", "b": "\n".join(map(str, range(40_000)))},
    }
    key = ObjectKey.of(manifest)
    change = ObjectPreview(key, "create", tuple(render_diff(None, manifest, key)))
    text = verify_report.as_markdown(result("no"), Preview(CommitInfo("f" * 40), (change,)))
    assert len(text) < 65_536
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.endswith("diff") and line.startswith("`"))
    fence = lines[start].removesuffix("diff")
    end = lines.index(fence, start)
    assert any("@everyone" in line for line in lines[start:end])
    assert "more lines: `gitsync diff` shows them all" in lines[end + 2]
    assert lines[-1] == "</details>"


def test_a_junit_report_can_be_read_whatever_is_in_it() -> None:
    suite = ElementTree.fromstring(verify_report.as_junit(result(HOSTILE)))
    messages = [item.get("message", "") for item in suite.iter("failure")]
    assert len(messages) == 2
    assert all("@everyone" in message and "]]>" in message for message in messages)
