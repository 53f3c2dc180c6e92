"""Archives of files: what is in them, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync import untar as room
from gitsync.errors import ArtifactError

Add = Callable[[tarfile.TarFile], None]


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Add:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = len(data), kind, link
        tar.addfile(info, io.BytesIO(data))

    return add


def archive(*members: Add) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for add in members:
            add(tar)
    return packed.getvalue()


def header_of_headers(times: int) -> bytes:
    """Each says that the next one has a long name."""
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1
    return (info.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(tarfile.BLOCKSIZE, b"\0")) * times


def unpacked(data: bytes) -> dict[str, bytes]:
    (listing, _), (contents,) = room.untar("oci://it", [data])
    found, begin = {}, 0
    for path, size, digest in listing:
        found[path] = contents[begin : begin + size]
        assert hashlib.sha256(found[path]).hexdigest() == digest
        begin += size
    assert begin == len(contents)
    return found


@given(st.dictionaries(st.from_regex(r"[a-zäß ]{1,9}(/[a-z.]{2,9}x){0,3}", fullmatch=True), st.binary(max_size=99)))
def test_what_was_packed_comes_out(files: dict[str, bytes]) -> None:
    assert unpacked(archive(*(member(f"./{name}", data) for name, data in files.items()))) == files


def test_symbolic_links_and_directories_are_passed_over_and_the_last_of_a_name_counts() -> None:
    data = archive(
        member("a", b"old"),
        member("dir", kind=tarfile.DIRTYPE),
        member("dir/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member("a", b"new"),
    )
    assert unpacked(data) == {"a": b"new"}
    assert room.untar("oci://it", [data])[0][1] == "'dir/link'", "they are named"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: archive(member("../a", b"x")), "leads out of it: '../a'"),
        (lambda: archive(member("a/../../b", b"x")), "leads out of it"),
        (lambda: archive(member("/etc/a", b"x")), "leads out of it"),
        (lambda: archive(member("a\\..\\b", b"x")), "leads out of it"),
        (lambda: archive(member("null", kind=tarfile.CHRTYPE)), "a device at 'null'"),
        (lambda: archive(member("pipe", kind=tarfile.FIFOTYPE)), "a named pipe at 'pipe'"),
        (lambda: archive(member("a", b"x"), member("b", kind=tarfile.LNKTYPE, link="a")), "a hard link at 'b'"),
        (lambda: b"plain text", "is no archive of files"),
        (lambda: gzip.compress(b"plain text" * 99), "is no archive of files"),
        (lambda: archive(member("a", b"x" * 9999))[:-40], "is no archive of files"),
        (lambda: gzip.compress(bytes(99 << 20)), "larger than 48 MiB unpacked"),
        (lambda: archive(member("a", bytes(49 << 20))), "larger than 48 MiB unpacked"),
        (lambda: archive(*(member(str(number)) for number in range(20_001))), "more than 20,000 files and directories"),
        (lambda: gzip.compress(tarfile.TarInfo("x").tobuf() * 200_000, 1), "more than 20,000 files and directories"),
        (lambda: gzip.compress(header_of_headers(5000)), "is no archive of files"),
    ],
    ids=[
        *("above", "far-above", "absolute", "windows", "device", "pipe", "hard-link"),
        *("text", "zipped-text", "truncated", "bomb", "large", "many", "crowd", "headers"),
    ],
)
def test_what_is_no_artifact_is_refused_in_words(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        room.untar("oci://it", [make()])
    assert words in caught.value.message
    assert caught.value.message.startswith("oci://it: ")


def test_an_archive_among_files_holds_no_links() -> None:
    """Where Flux extracts an archive, a link in it is an error; in a layer it is passed over."""
    data = archive(member("a.yaml", b"a"), member("b.yaml", kind=tarfile.SYMTYPE, link="a.yaml"))
    assert unpacked(data) == {"a.yaml": b"a"}
    with pytest.raises(ArtifactError, match=r"@repo/it.tgz: the artifact has a symbolic link at 'b.yaml'"):
        room.extract("@repo/it.tgz", [data])
    with pytest.raises(ArtifactError, match=r"@repo/it.tgz: it is no archive of files"):
        room.extract("@repo/it.tgz", [b"no archive"])
