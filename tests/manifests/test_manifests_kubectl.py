"""What is applied must be what kubectl would have applied from the same file."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from gitsync.manifests import parse_file
from tests.controlplane.cluster import Cli
from tests.controlplane.errors import CommandError
from tests.manifests.kubectl_reading import as_kubectl_prints, objects_of_kubectl

CORPUS = sorted(path for path in (Path(__file__).parent / "corpus").iterdir() if path.suffix in (".yaml", ".json"))
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def assert_reads_alike(kubectl: Cli, file: Path) -> None:
    content = parse_file(file.name, file.read_bytes())
    assert [str(error) for error in content.errors] == []
    assert [as_kubectl_prints(item) for item in content.objects] == objects_of_kubectl(kubectl, file)


@pytest.mark.parametrize("file", CORPUS, ids=lambda path: path.name)
def test_corpus_is_read_as_kubectl_reads_it(kubectl: Cli, file: Path) -> None:
    assert_reads_alike(kubectl, file)


@pytest.mark.parametrize("name", ["blocks.yaml", "documents.yaml", "scalars.yaml", "stream.json"])
@pytest.mark.parametrize("form", ["crlf", "bom", "crlf and bom"])
def test_windows_line_ends_and_byte_order_marks_change_nothing_else(
    kubectl: Cli, tmp_path: Path, name: str, form: str
) -> None:
    data = (Path(__file__).parent / "corpus" / name).read_bytes()
    if "crlf" in form:
        data = data.replace(b"\n", b"\r\n")
    if "bom" in form:
        data = codecs.BOM_UTF8 + data
    file = tmp_path / name
    file.write_bytes(data)
    assert_reads_alike(kubectl, file)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_with_its_mark_is_read(kubectl: Cli, tmp_path: Path, encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    file = tmp_path / "powershell.yaml"
    file.write_bytes((mark + HEAD + "data: {a: é日😀}\r\n").encode(encoding))
    assert_reads_alike(kubectl, file)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("data: [1, 2\n", (5, 1)),
        ("data: 'not closed\n", (5, 1)),
        ("data: {a: *nowhere}\n", (4, 11)),
        ("data: {a: &a [*a]}\n", (4, 15)),
        ("data:\n\ta: 1\n", (5, 1)),
        ("data: {{ .Values.data }}\n", (4, 8)),
        ("data: {a: .inf}\n", (4, 11)),
        ("data: {a: -.INF, b: .nan}\n", (4, 11)),
        ("data: {a: !!int 1.5}\n", (4, 11)),
        ("data: {a: !!bool maybe}\n", (4, 11)),
        ("data: {a: !!binary '***'}\n", (4, 11)),
        ('data: {a: "\\ud83d\\ude00"}\n', (4, 14)),
        ('data: {a: "a\\/b"}\n', (4, 11)),
        ('data: {a: "\\q"}\n', (4, 12)),
        ("data: {<<: 1}\n", (4, 12)),
        ("data: {~: 1}\n", (4, 8)),
        ("data: {[a]: 1}\n", (4, 8)),
        ("data: {12345678901234567890: 1}\n", (4, 8)),
        ("data: @a\n", (4, 7)),
        ("data: \x01\n", (4, 7)),
        ("data: \x00\n", (4, 7)),
        ("--- {a: b}\n", (4, 4)),
        ("---a\n", (4, 4)),
        ("---\n%YAML 1.1\n---\n" + HEAD, (6, 1)),
        ("---\n%YAML 1.2\n", (6, 1)),
        ("data: a: b\n", (4, 8)),
        ("data: |\n  a\n b\n", (6, 2)),
        ("<<<<<<< HEAD\n", (5, 1)),
        ("data: {!!merge <<: 1}\n", (4, 20)),
        ("---\n...\n", (5, 1)),
        ("---\n# nothing\n...\n", (6, 1)),
        ("\n---\n---\n# nothing\n---\n...\n", (9, 1)),
    ],
)
def test_what_kubectl_refuses_is_an_error_with_its_place(
    kubectl: Cli, tmp_path: Path, text: str, place: tuple[int, int]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(HEAD + text)
    with pytest.raises(CommandError, match="error"):
        objects_of_kubectl(kubectl, file)
    content = parse_file("apps/bad.yaml", file.read_bytes())
    assert content.objects == ()
    origin = content.errors[0].origin
    assert (origin.path, origin.line, origin.column) == ("apps/bad.yaml", *place), str(content.errors[0])


MERGED = HEAD + "x: &x {b: 1}\n"


@pytest.mark.parametrize(
    "text",
    [
        MERGED + "data: {!!merge <<: *x}\n",
        MERGED + "data:\n  !!merge <<: *x\n  c: 2\n",
        MERGED + "data:\n  !!merge <<: [*x, {c: 2}]\n  b: 3\n",
        MERGED + "data:\n  !!merge <<: *x\n  !!merge <<: {c: 1}\n  <<: {d: 1}\n",
        MERGED + "data:\n  !!merge '<<': *x\n",
        MERGED + "data: {! '<<': *x}\n",
        MERGED + "data: {!!str <<: *x}\n",
        MERGED + "data: {'<<': *x}\n",
        MERGED + "data: {!local <<: *x}\n",
        MERGED + "data: {!!merge a: 1}\n",
        HEAD + "...\n",
        HEAD + "... # the end\n# and more\n",
        HEAD + "...\n---\n" + HEAD.replace("a}", "b}"),
        "---\n...\n---\n" + HEAD,
        "--- # first\n# nothing\n\n...\n...\n---\n" + HEAD,
        HEAD + "---\n---\n...\n---\n" + HEAD.replace("a}", "b}"),
    ],
)
def test_merge_tags_and_document_ends_are_read_as_kubectl_reads_them(kubectl: Cli, tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    assert_reads_alike(kubectl, file)


def test_a_file_of_two_marks_holds_nothing_for_kubectl_and_for_us(kubectl: Cli, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("---\n...\n")
    with pytest.raises(CommandError, match="no objects passed"):
        objects_of_kubectl(kubectl, file)
    content = parse_file(file.name, file.read_bytes())
    assert (content.objects, content.errors, content.unread) == ((), (), ())
