"""A mirror of a repository on this machine: what it reads, and what a repository cannot make it do."""

from __future__ import annotations

import asyncio
import os
import resource
import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gitsync.errors import GitRefMissing, GitRefused, GitUnavailable, StateUnwritable
from gitsync.git import GitReference, GitSource, Mirror, mirror_name
from gitsync.git.command import Answer, Command, Runner
from gitsync.tree import TreeEntry, changed_files
from tests.git.git_world import Repository


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "fleet")


@pytest.fixture
async def mirror(origin: Repository, tmp_path: Path) -> AsyncIterator[Mirror]:
    mirror = Mirror(GitSource(str(origin.path), branch="main"), tmp_path / "state")
    yield mirror
    await mirror.close()


async def changed(mirror: Mirror, old: str, new: str) -> int:
    return await changed_files(await mirror.artifact(old), await mirror.artifact(new))


async def contents(mirror: Mirror, commit_id: str, path: str = "") -> dict[str, bytes]:
    entries = await mirror.tree(commit_id, path)
    blobs = await mirror.read([entry.blob_id for entry in entries])
    return {entry.path: blobs[entry.blob_id] for entry in entries}


async def digest(mirror: Mirror, commit_id: str, path: str) -> str | None:
    return await (await mirror.artifact(commit_id)).directory_digest(path)


async def test_head_is_the_branch_and_fetch_tells_who_and_why(origin: Repository, mirror: Mirror) -> None:
    commit_id = origin.commit({"a.yaml": "kind: A\n"}, "redis: persistence off\n\nA longer story.")

    assert await mirror.head() == commit_id
    commit = await mirror.fetch(commit_id)

    assert (commit.id, commit.author, commit.subject, commit.time) == (
        commit_id, "Ada", "redis: persistence off", 1700000000.0,
    )  # fmt: skip
    assert await mirror.info(commit_id) == commit
    assert await mirror.fetch(commit_id) == commit


async def test_tree_lists_files_with_their_size_and_read_gives_their_content(
    origin: Repository, mirror: Mirror
) -> None:
    commit_id = origin.commit(
        {"clusters/prod/a.yaml": "a: 1\n", "clusters/dev/b.yaml": "b: 2\n", "README": b"\x00\xff"}
    )
    await mirror.fetch(commit_id)

    tree = await mirror.tree(commit_id)
    assert [(entry.path, entry.size) for entry in tree] == [
        ("README", 2), ("clusters/dev/b.yaml", 5), ("clusters/prod/a.yaml", 5),
    ]  # fmt: skip
    assert await contents(mirror, commit_id, "./clusters/prod/") == {"clusters/prod/a.yaml": b"a: 1\n"}
    assert (await contents(mirror, commit_id))["README"] == b"\x00\xff"
    assert await mirror.read([]) == {}


async def test_a_path_that_is_not_there_is_an_error_and_not_an_empty_cluster(
    origin: Repository, mirror: Mirror
) -> None:
    commit_id = origin.commit({"clusters/prod": "a file\n"})
    await mirror.fetch(commit_id)

    for path in ("clusters/production", "clusters/prod"):
        with pytest.raises(GitRefused, match=f"no directory `{path}` in commit {commit_id[:7]}"):
            await mirror.tree(commit_id, path)
    for path in ("../fleet", "clusters/../..", "a\0b", "a\nb"):
        with pytest.raises(GitRefused, match="not a path inside the repository"):
            await mirror.tree(commit_id, path)


async def test_a_path_may_lead_through_a_link(origin: Repository, mirror: Mirror) -> None:
    add_links(origin, linked="charts", charts__app__templates__shared="../../../shared")
    commit_id = origin.commit({"charts/app/Chart.yaml": "name: app\n", "shared/_helpers.tpl": "{{}}", "other": "1"})
    await mirror.fetch(commit_id)

    assert await contents(mirror, commit_id, "linked/app") == {
        "linked/app/Chart.yaml": b"name: app\n", "linked/app/templates/shared/_helpers.tpl": b"{{}}",
    }  # fmt: skip
    assert sorted(await contents(mirror, commit_id, "linked/app/templates/shared")) == [
        "linked/app/templates/shared/_helpers.tpl"
    ]


async def test_a_digest_changes_with_what_links_lead_to_and_only_with_that(origin: Repository, mirror: Mirror) -> None:
    add_links(origin, linked="charts/app", charts__app__shared="../../shared")
    ids = []
    for files in ({"charts/app/Chart.yaml": "name: app\n", "shared/a": "1"}, {"other": "2"}, {"shared/a": "2"}):
        commit_id = origin.commit(files)
        await mirror.fetch(commit_id)
        paths = ("charts/app", "linked", "linked/shared", "shared", "")
        ids.append([await digest(mirror, commit_id, path) for path in paths])

    before, same, after = ids
    assert before[:4] == same[:4]
    assert before[4] != same[4]
    assert before[0] == before[1]
    assert before[2] == before[3] == origin.git("rev-parse", "HEAD~2:shared")
    assert all(old != new for old, new in zip(same, after, strict=True))


async def test_a_commit_is_listed_once(origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    add_links(origin, link="d")
    old, new = origin.commit({"d/a": "1", "d/b": "1"}), origin.commit({"d/a": "2"})
    await mirror.fetch(old)
    await mirror.fetch(new)
    asked = []
    run = Runner.run

    async def noted(self: Runner, command: Command) -> Answer:
        asked.append(command.args[0])
        return await run(self, command)

    monkeypatch.setattr(Runner, "run", noted)

    trees = await asyncio.gather(*(mirror.artifact(new) for _ in range(5)))
    for path in ("", "d", "link"):
        assert len(await mirror.tree(new, path)) == len(await trees[0].entries(path))
        assert await digest(mirror, new, path)
    assert len(set(map(id, trees))) == 1
    assert await changed(mirror, old, new) == 2  # d/a, and link/a
    assert await changed(mirror, old, new) == 2
    assert sorted(asked) == ["ls-tree", "ls-tree", "rev-parse", "rev-parse"]


async def test_a_commit_that_cannot_be_had_holds_up_no_other(
    origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_id = origin.commit({"a": "1"})
    await mirror.fetch(commit_id)
    asked = asyncio.Event()

    async def never(self: Mirror, commit_id: str, reference: GitReference) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Mirror, "_bring", never)
    waiting = asyncio.create_task(mirror.artifact("1" * 40))
    await asyncio.wait_for(asked.wait(), 60)
    assert [entry.path for entry in await asyncio.wait_for(mirror.tree(commit_id), 60)] == ["a"]
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_an_empty_commit_has_no_files(origin: Repository, mirror: Mirror) -> None:
    commit_id = origin.commit({})
    await mirror.fetch(commit_id)
    assert await mirror.tree(commit_id) == []


async def test_a_digest_changes_with_what_is_below_and_only_with_that(origin: Repository, mirror: Mirror) -> None:
    first = origin.commit({"charts/app/Chart.yaml": "name: app\n", ":(top)charts/app/x": "x\n", "other": "1"})
    second = origin.commit({"other": "2"})
    third = origin.commit({"charts/app/values.yaml": "a: 1\n"})
    for commit_id in (first, second, third):
        await mirror.fetch(commit_id)

    ids = [await digest(mirror, commit_id, "./charts/app") for commit_id in (first, second, third)]
    assert ids[0] == ids[1] != ids[2]
    assert ids[0] == origin.git("rev-parse", f"{first}:charts/app")
    assert await digest(mirror, first, ":(top)charts/app") == origin.git("rev-parse", f"{first}::(top)charts/app")
    assert [entry.path for entry in await mirror.tree(first, ":(top)charts")] == [":(top)charts/app/x"]
    assert await digest(mirror, first, "") == origin.git("rev-parse", f"{first}^{{tree}}")
    assert await digest(mirror, first, "charts/nothing") is None
    assert await digest(mirror, first, "charts/app/Chart.yaml") is None


async def test_changed_files_between_two_commits(origin: Repository, mirror: Mirror) -> None:
    old = origin.commit({"same": "s", "changed": "1", "moved": "a long enough text to be found again\n", "gone": "g"})
    new = origin.commit(
        {
            "changed": "2",
            "moved": None,
            "elsewhere": "a long enough text to be found again\n",
            "gone": None,
            "ü/new": "n",
        }
    )
    await mirror.fetch(old)
    await mirror.fetch(new)

    assert await changed(mirror, old, new) == len({"changed", "elsewhere", "gone", "moved", "ü/new"})
    assert await changed(mirror, new, new) == 0
    assert await changed_files(None, await mirror.artifact(old)) == len({"changed", "gone", "moved", "same"})


async def test_a_commit_that_was_not_fetched_is_fetched_when_asked_about(origin: Repository, mirror: Mirror) -> None:
    old = origin.commit({"a": "1"})
    new = origin.commit({"a": "2"})
    assert await changed(mirror, old, new) == 1
    assert (await mirror.info(old)).id == old


async def test_history_is_not_fetched(origin: Repository, mirror: Mirror) -> None:
    commits = [origin.commit({"a": str(number)}) for number in range(3)]
    await mirror.fetch(commits[-1])
    objects = Repository(mirror.path).git("cat-file", "--batch-all-objects", "--batch-check")
    assert commits[-1] in objects
    assert not any(commit_id in objects for commit_id in commits[:-1])


async def test_a_small_commit_brings_only_what_is_new(origin: Repository, mirror: Mirror) -> None:
    origin.commit({f"d{number % 10}/f{number}": f"{number}\n" * 50 for number in range(200)})
    await mirror.fetch(await mirror.head())
    before = {file.name for file in mirror.path.glob("objects/pack/*.pack")}

    origin.commit({"d3/f3": "changed\n"})
    await mirror.fetch(await mirror.head())

    (new,) = [file for file in mirror.path.glob("objects/pack/*.pack") if file.name not in before]
    assert new.stat().st_size < 2000  # a commit, two trees, one file


def add_links(origin: Repository, **found: str) -> None:
    for path, target in found.items():
        place = origin.path / path.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)


async def test_symlinks_are_followed_as_data_and_what_cannot_be_read_says_why_and_nothing_is_checked_out(
    origin: Repository, mirror: Mirror, tmp_path: Path
) -> None:
    add_links(origin, passwd="/etc/passwd", charts="../../secrets", lost="nothing", up="apps/up2", apps__up2="../up")
    add_links(origin, apps__base="../base", apps__cm="base/cm.yaml", tosub="sub", apps__around="..")
    inner = origin.commit({"base/cm.yaml": "cm\n"})
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{inner},sub")
    origin.git("commit", "--quiet", "-m", "a submodule")
    commit_id = origin.git("rev-parse", "HEAD")
    await mirror.fetch(commit_id)

    tree = await mirror.artifact(commit_id)
    entries = await tree.entries()
    found = {entry.path: entry for entry in entries if not entry.unreadable}
    assert {(path, entry.size) for path, entry in found.items()} == {
        ("apps/base/cm.yaml", 3), ("apps/cm", 3), ("base/cm.yaml", 3),
    }  # fmt: skip
    assert await tree.read([found["apps/cm"].blob_id]) == {found["base/cm.yaml"].blob_id: b"cm\n"}
    assert {entry.path: entry.unreadable for entry in entries if entry.unreadable} == {
        "passwd": "a symbolic link to '/etc/passwd', which leads out of the repository",
        "charts": "a symbolic link to '../../secrets', which leads out of the repository",
        "lost": "a symbolic link to 'nothing', which leads to nothing",
        "up": "a symbolic link to 'apps/up2', which leads in a circle",
        "apps/up2": "a symbolic link to '../up', which leads in a circle",
        "apps/around": "a symbolic link to '..', which leads in a circle",
        "tosub": "a symbolic link to 'sub', which leads to a Git submodule, whose content is not in this repository",
        "sub": "a Git submodule, whose content is not in this repository",
    }
    assert await digest(mirror, commit_id, "charts") is None
    with pytest.raises(
        GitRefused, match=r"no directory `charts/a` in commit .*: `charts` is a symbolic link to '../../"
    ):
        await mirror.tree(commit_id, "charts/a")
    assert sorted(file.name for file in (tmp_path / "state").iterdir() if file != mirror.path) == [
        mirror.path.with_suffix(".lock").name
    ]


async def test_filters_hooks_and_attributes_of_a_repository_are_never_run(
    origin: Repository, mirror: Mirror, tmp_path: Path
) -> None:
    trap = tmp_path / "sprung"
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    commit_id = origin.commit(
        {".gitattributes": "* filter=trap text eol=crlf ident\n", "big.yaml": pointer, "i": "$Id$\n"}
    )
    for hook in ("post-checkout", "post-merge", "reference-transaction", "pre-auto-gc"):
        file = origin.git_dir / "hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\ntouch {trap}\n")
        file.chmod(0o755)
    origin.git("config", "filter.trap.smudge", f"touch {trap}")
    origin.git("config", "uploadpack.packObjectsHook", f"touch {trap}; exec")
    await mirror.fetch(commit_id)

    assert (await contents(mirror, commit_id))["big.yaml"] == pointer.encode()
    assert (await contents(mirror, commit_id))["i"] == b"$Id$\n"
    assert not trap.exists()


async def test_file_names_of_any_kind_are_listed(origin: Repository, mirror: Mirror) -> None:
    blob = origin.git("hash-object", "-w", "--stdin", stdin=b"x")
    names = [b"a b\tc\nd.yaml", b"caf\xe9.yaml", "ü.yaml".encode(), b"-o.yaml", b":(top)x"]
    listing = b"".join(b"100644 blob " + blob.encode() + b"\t" + name + b"\0" for name in names)
    tree = origin.git("mktree", "-z", stdin=listing)
    commit_id = origin.git("commit-tree", tree, "-m", "odd names")
    origin.git("update-ref", "refs/heads/main", commit_id)
    await mirror.fetch(commit_id)

    assert {entry.path for entry in await mirror.tree(commit_id)} == {
        "a b\tc\nd.yaml", "caf\\xe9.yaml", "ü.yaml", "-o.yaml", ":(top)x",
    }  # fmt: skip


async def test_names_that_no_file_can_have_are_not_to_be_read(origin: Repository, mirror: Mirror) -> None:
    blob = bytes.fromhex(origin.git("hash-object", "-w", "--stdin", stdin=b"x"))
    entries = b"".join(b"100644 " + name + b"\0" + blob for name in (b"..", b"../a", b"/b", b"c"))
    tree = origin.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=entries)
    top = f"040000 tree {tree}\td\n".encode()
    commit_id = origin.git("commit-tree", origin.git("mktree", stdin=top), "-m", "odd names")
    origin.git("update-ref", "refs/heads/main", commit_id)
    await mirror.fetch(commit_id)

    assert {entry.path: entry.unreadable for entry in await mirror.tree(commit_id)} == {
        "d/..": "a name that no file can have", "d/../a": "a name that no file can have",
        "d//b": "a name that no file can have", "d/c": "",
    }  # fmt: skip


async def test_an_author_in_another_encoding_is_read_as_meant(origin: Repository, mirror: Mirror) -> None:
    tree = origin.git("mktree", stdin=b"")
    commit = f"tree {tree}\nauthor Zoë <z> 1 +0000\ncommitter C <c> 2 +0000\nencoding ISO-8859-1\n\ncafé\n"
    commit_id = origin.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=commit.encode("latin-1"))
    origin.git("update-ref", "refs/heads/main", commit_id)
    info = await mirror.fetch(commit_id)
    assert (info.author, info.subject) == ("Zoë", "café")


async def test_a_credential_in_a_subject_goes_no_further(origin: Repository, mirror: Mirror) -> None:
    commit = await mirror.fetch(origin.commit({"a": "1"}, "charts from https://ann:hunter2@git.example/charts"))
    assert commit.subject == "charts from https://***@git.example/charts"


async def test_a_subject_or_author_of_20_megabytes_is_cut_and_stops_nothing(origin: Repository, mirror: Mirror) -> None:
    tree = origin.git("rev-parse", f"{origin.commit({'a': '1'})}^{{tree}}")
    long = b"x" * (20 << 20)
    for author, message in ((b"Ada", b"long " + long), (b"Long " + long, b"short")):
        header = b"tree %s\nauthor %s <a@b> 1 +0000\ncommitter G <g@h> 1 +0000\n\n" % (tree.encode(), author)
        commit_id = origin.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=header + message)
        origin.git("update-ref", "refs/heads/main", commit_id)

        commit = await mirror.fetch(await mirror.head())

        assert commit.author[:20] == author[:20].decode()
        assert commit.subject[:20] == message[:20].decode()
        assert max(len(commit.author), len(commit.subject)) == 200
        assert await contents(mirror, commit.id) == {"a": b"1"}


async def test_author_and_subject_cannot_write_to_a_terminal(origin: Repository, mirror: Mirror) -> None:
    tree = origin.git("mktree", stdin=b"")
    commit = f"tree {tree}\nauthor \x1b[31mEve\x07 <e> 1 +0000\ncommitter C <c> 2 +0000\n\n\x1b]0;x\x07" + "long " * 100
    commit_id = origin.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=commit.encode())
    origin.git("update-ref", "refs/heads/main", commit_id)

    info = await mirror.fetch(commit_id)

    assert info.author == "[31mEve"
    assert info.subject.isprintable()
    assert len(info.subject) == 200


async def test_targets_of_links_are_read_within_a_bound_for_all_together(
    origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are too long for any path are never read, and do not count."""
    monkeypatch.setattr("gitsync.git.mirror.MAX_TARGETS", 1 << 20)

    def linked(*targets: str) -> str:
        blobs = [origin.git("hash-object", "-w", "--stdin", stdin=target.encode()) for target in targets]
        lines = "".join(f"120000 blob {blob}\tl{number}\n" for number, blob in enumerate(blobs))
        return origin.git("commit-tree", origin.git("mktree", stdin=lines.encode()), "-m", "links")

    async def listed(commit_id: str) -> int:
        origin.git("update-ref", "refs/heads/main", commit_id)
        await mirror.fetch(commit_id)
        return len(await mirror.tree(commit_id))

    assert await listed(linked("x" * (2 << 20), *(f"{number:04000}" for number in range(200)))) == 201
    with pytest.raises(GitRefused, match="the symbolic links of this commit are larger than 1 MiB"):
        await listed(linked(*(f"{number:04000}" for number in range(300))))


async def test_a_commit_that_unfolds_to_more_than_git_may_have_is_refused(origin: Repository, mirror: Mirror) -> None:
    """Some hundred kilobytes of a pack: git has to have the whole of a commit in memory, which no file is to it."""
    tree = origin.git("mktree", stdin=b"")
    commit = f"tree {tree}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\n".encode() + b"long " * (20 << 20)
    commit_id = origin.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=commit)
    origin.git("update-ref", "refs/heads/main", commit_id)
    with pytest.raises(
        GitUnavailable, match="hung up unexpectedly"
    ):  # git at the other end is here under the same limit
        await mirror.fetch(commit_id)


async def test_a_tree_that_multiplies_itself_is_refused_in_bounded_memory(
    origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.barerepository.MAX_TREE", 4 << 20)
    inner = origin.git("hash-object", "-w", "--stdin", stdin=b"x")
    kind = "100644 blob"
    for _ in range(8):  # ten to the power of eight files
        listing = "".join(f"{kind} {inner}\tn{number}\n" for number in range(10))
        inner, kind = origin.git("mktree", stdin=listing.encode()), "040000 tree"
    commit_id = origin.git("commit-tree", inner, "-m", "bomb")
    origin.git("update-ref", "refs/heads/main", commit_id)
    await mirror.fetch(commit_id)

    started = time.monotonic()
    with pytest.raises(GitRefused, match="list of this commit's files is larger than 4 MiB"):
        await mirror.tree(commit_id)
    assert time.monotonic() - started < 60  # all of it takes minutes


async def test_one_file_under_any_number_of_names_is_refused_in_bounded_memory(
    origin: Repository, mirror: Mirror
) -> None:
    """A repository of some kilobytes: 450 times 450 names of one blob."""
    inner, kind = origin.git("hash-object", "-w", "--stdin", stdin=b"x"), "100644 blob"
    for _ in range(2):
        listing = "".join(f"{kind} {inner}\tn{number}.yaml\n" for number in range(450))
        inner, kind = origin.git("mktree", stdin=listing.encode()), "040000 tree"
    commit_id = origin.git("commit-tree", inner, "-m", "many")
    origin.git("update-ref", "refs/heads/main", commit_id)
    await mirror.fetch(commit_id)

    tracemalloc.start()
    with pytest.raises(GitRefused, match="the commit has 202,950 files and folders, over the limit of 100,000"):
        await mirror.tree(commit_id)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


async def test_a_file_very_far_down_cannot_be_read_and_one_without_end_is_refused(
    origin: Repository, mirror: Mirror
) -> None:
    def far_down(depth: int) -> str:
        path = "/".join(["d"] * depth) + "/f"
        commit = f"commit refs/heads/main\ncommitter G <g> 1 +0000\ndata 1\nm\nM 100644 inline {path}\ndata 1\nx\n"
        origin.git("fast-import", "--quiet", "--force", stdin=commit.encode())
        return origin.git("rev-parse", "main")

    far = far_down(3000)
    await mirror.fetch(far)
    (entry,) = await mirror.tree(far)
    assert entry.unreadable == "a path of more than 4096 bytes"

    endless = far_down(9000)
    await mirror.fetch(endless)
    with pytest.raises(GitRefused, match="list of this commit's files is larger than 24 MiB"):
        await mirror.artifact(endless)


async def test_a_small_repository_of_many_paths_of_one_file_is_listed_in_bounded_time(
    origin: Repository, mirror: Mirror
) -> None:
    """And links do not make more of it."""
    blob = origin.git("hash-object", "-w", "--stdin", stdin=b"a: 1\n")
    files = "".join(f"100644 blob {blob}\tm{number:04}.yaml\n" for number in range(900))
    inner = origin.git("mktree", stdin=files.encode())
    link = origin.git("hash-object", "-w", "--stdin", stdin=b"../d00")
    top = "".join(f"040000 tree {inner}\td{number:02}\n" for number in range(100))
    linked = "".join(f"120000 blob {link}\tl{number:03}\n" for number in range(500))
    top += f"040000 tree {origin.git('mktree', stdin=linked.encode())}\tlinks\n"
    commit_id = origin.git("commit-tree", origin.git("mktree", stdin=top.encode()), "-m", "bomb")
    origin.git("update-ref", "refs/heads/main", commit_id)
    await mirror.fetch(commit_id)

    started = time.process_time()
    entries = await mirror.tree(commit_id)
    assert time.process_time() - started < 20
    assert 90_000 < len(entries) < 500_000
    assert entries[-1].unreadable.endswith("with which the tree would hold more than gitsync reads")
    assert await mirror.read([entries[0].blob_id]) == {blob: b"a: 1\n"}


async def test_files_that_are_too_large_together_are_refused(
    origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.barerepository.MAX_READ", 1 << 20)
    commit_id = origin.commit({"zeros": b"\0" * (2 << 20), "small": "s"})
    await mirror.fetch(commit_id)
    small, zeros = await mirror.tree(commit_id)

    assert zeros == TreeEntry("zeros", zeros.blob_id, 2 << 20)
    for few in (16, 0):
        monkeypatch.setattr("gitsync.git.barerepository.FEW", few)
        for reader in (mirror, await mirror.artifact(commit_id)):
            with pytest.raises(GitRefused, match="files of this commit are larger than 1 MiB"):
                await reader.read([small.blob_id, zeros.blob_id])
            assert await reader.read([small.blob_id]) == {small.blob_id: b"s"}


async def test_a_commit_that_is_too_large_to_fetch_is_refused(
    origin: Repository, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.barerepository.MAX_FETCH", 1 << 20)
    monkeypatch.setattr("gitsync.git.command._TICK", 0.001)
    commit_id = origin.commit({"noise": os.urandom(24 << 20)})  # so long that it is looked at, however busy the machine
    with pytest.raises(GitRefused, match="larger than 1 MiB"):
        await mirror.fetch(commit_id)
    origin.commit({"noise": None})
    assert (await mirror.fetch(await mirror.head())).id != commit_id
    assert not list(mirror.path.glob("objects/pack/tmp_*"))


async def test_a_force_push_is_followed(origin: Repository, mirror: Mirror) -> None:
    first = origin.commit({"a": "1"})
    await mirror.fetch(await mirror.head())
    origin.git("checkout", "--quiet", "--orphan", "other")
    rewritten = origin.commit({"a": "rewritten"})
    origin.git("branch", "--force", "main", "other")

    assert await mirror.head() == rewritten != first
    await mirror.fetch(rewritten)
    assert await contents(mirror, rewritten) == {"a": b"rewritten"}
    assert await changed(mirror, first, rewritten) == 1


async def test_a_deleted_branch_is_named_and_may_come_back(origin: Repository, tmp_path: Path) -> None:
    commit_id = origin.commit({"a": "1"})
    origin.git("branch", "release")
    mirror = Mirror(GitSource(str(origin.path), branch="release"), tmp_path / "state")
    await mirror.fetch(await mirror.head())
    origin.git("branch", "-D", "release")

    with pytest.raises(GitRefMissing) as caught:
        await mirror.head()
    assert caught.value.message == f"branch `release` does not exist at {origin.path}"
    assert caught.value.hint == "there are: main"
    assert await contents(mirror, commit_id) == {"a": b"1"}  # what was there can still be read

    origin.git("branch", "release")
    assert await mirror.head() == commit_id
    await mirror.close()


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ({"branch": "mian"}, "branch `mian` does not exist at", "did you mean `main`?"),
        ({"branch": "x"}, "branch `x` does not exist at", "there are: main"),
        ({"tag": "v2"}, "tag `v2` does not exist at", "there are: v1"),
        ({"commit": "0" * 39 + "1"}, "does not have it", "force-push"),
    ],
)
async def test_what_is_not_there_is_named(
    origin: Repository, tmp_path: Path, wanted: dict[str, Any], message: str, hint: str
) -> None:
    origin.commit({"a": "1"})
    origin.git("tag", "v1")
    mirror = Mirror(GitSource(str(origin.path), **wanted), tmp_path / "state")
    with pytest.raises(GitRefMissing) as caught:
        await mirror.fetch(await mirror.head())
    assert message in caught.value.message
    assert hint in caught.value.hint
    await mirror.close()


async def test_an_empty_repository_says_so_until_the_first_push(origin: Repository, mirror: Mirror) -> None:
    with pytest.raises(GitRefMissing, match="is empty: it has no commit yet"):
        await mirror.head()
    commit_id = origin.commit({"a": "1"})
    assert await mirror.head() == commit_id


async def test_the_default_branch_a_tag_and_a_commit(origin: Repository, tmp_path: Path) -> None:
    first = origin.commit({"a": "1"})
    origin.git("tag", "plain")
    origin.git("tag", "-a", "annotated", "-m", "a tag of its own")
    second = origin.commit({"a": "2"})
    origin.git("branch", "refs/heads/main")  # a name that a pattern of ls-remote would match as well
    third = origin.commit({"a": "3"})
    origin.git("checkout", "--quiet", "--detach")

    cases: list[tuple[dict[str, Any], str]] = [
        ({}, third), ({"branch": "main"}, third), ({"branch": "refs/heads/main"}, second), ({"tag": "plain"}, first),
        ({"tag": "annotated"}, first), ({"commit": second}, second), ({"commit": first, "branch": "main"}, first),
    ]  # fmt: skip
    for wanted, commit_id in cases:
        mirror = Mirror(GitSource(str(origin.path), **wanted), tmp_path / "state")
        assert await mirror.head() == commit_id
        assert (await mirror.fetch(commit_id)).id == commit_id
        await mirror.close()


async def test_the_id_of_a_tag_is_no_commit(origin: Repository, tmp_path: Path) -> None:
    commit_id = origin.commit({"a": "1"})
    origin.git("tag", "-a", "annotated", "-m", "a tag of its own")
    mirror = Mirror(GitSource(str(origin.path), commit=origin.git("rev-parse", "annotated")), tmp_path / "state")
    with pytest.raises(GitRefused, match="is a tag, not a commit") as caught:
        await mirror.fetch(await mirror.head())
    assert commit_id in caught.value.hint
    await mirror.close()


async def test_a_file_is_no_commit(origin: Repository, mirror: Mirror) -> None:
    origin.commit({"a": "1"})
    with pytest.raises(GitUnavailable, match="cannot be read as a commit"):
        await mirror.fetch(origin.git("rev-parse", "HEAD:a"))


async def test_a_repository_with_sha256_ids(tmp_path: Path) -> None:
    origin = Repository.make(tmp_path / "modern", "--object-format=sha256")
    commit_id = origin.commit({"a": "1"})
    mirror = Mirror(GitSource(str(origin.path)), tmp_path / "state")
    assert await mirror.head() == commit_id
    await mirror.fetch(commit_id)
    assert await contents(mirror, commit_id) == {"a": b"1"}
    await mirror.close()


async def test_bare_shallow_and_worktree_repositories_can_be_read(origin: Repository, tmp_path: Path) -> None:
    origin.commit({"a": "1"})
    commit_id = origin.commit({"a": "2"})
    origin.git("clone", "--quiet", "--bare", ".", "../bare.git")
    origin.git("clone", "--quiet", "--depth=1", f"file://{origin.path}", "../shallow")
    origin.git("worktree", "add", "--quiet", "../worktree", "-b", "side")
    for place in ("bare.git", "shallow", "worktree"):
        mirror = Mirror(GitSource(f"file://{tmp_path}/{place}"), tmp_path / "state")
        assert await mirror.head() == commit_id
        await mirror.fetch(commit_id)
        assert await contents(mirror, commit_id) == {"a": b"2"}
        await mirror.close()


async def test_a_path_without_a_repository_is_unavailable(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        mirror = Mirror(GitSource(str(path)), tmp_path / "state")
        with pytest.raises(GitUnavailable, match=f"there is no repository at {path}") as caught:
            await mirror.head()
        assert caught.value.hint.startswith("correct the path"), "nobody has to log in on this machine"
        await mirror.close()


async def test_mirrors_of_several_repositories_share_a_directory(tmp_path: Path) -> None:
    repositories = [Repository.make(tmp_path / name / "fleet") for name in ("a", "b")]
    heads = [repository.commit({"f": repository.path.parent.name}) for repository in repositories]
    mirrors = [Mirror(GitSource(str(repository.path)), tmp_path / "state") for repository in repositories]

    await asyncio.gather(*(mirror.fetch(head) for mirror, head in zip(mirrors, heads, strict=True)))

    assert mirrors[0].path != mirrors[1].path
    assert mirrors[0].path.name.startswith("a-fleet-")
    for mirror, head, name in zip(mirrors, heads, "ab", strict=True):
        assert await contents(mirror, head) == {"f": name.encode()}
        await mirror.close()


def test_a_mirror_is_named_for_people_and_distinct_for_any_url() -> None:
    assert mirror_name("https://git.example/team/fleet.git").startswith("team-fleet-")
    assert mirror_name("git@git.example:team/fleet") != mirror_name("git@git.example:team/fleet.git")
    for url in ("https://git.example/..", "/", "/" + "x" * 300, "https://git.example/%2e%2e/ü ☃"):
        name = mirror_name(url)
        assert len(name) < 80
        assert not name.startswith((".", "-"))
        assert "/" not in name


async def test_a_state_directory_that_cannot_be_written_to_is_named(origin: Repository, tmp_path: Path) -> None:
    commit_id = origin.commit({"a": "1"})
    (tmp_path / "file").write_text("in the way")
    mirror = Mirror(GitSource(str(origin.path)), tmp_path / "file" / "state")
    with pytest.raises(StateUnwritable, match=r"state directory .* cannot be written to"):
        await mirror.fetch(commit_id)
    await mirror.close()


async def test_a_mirror_that_cannot_be_written_is_read_and_said_once(origin: Repository, tmp_path: Path) -> None:
    commit_id = origin.commit({"a": "1"})
    first = Mirror(GitSource(str(origin.path)), tmp_path / "state")
    await first.fetch(commit_id)
    await first.close()
    lock = first.path.with_suffix(".lock")
    lock.unlink()
    lock.mkdir()  # what root cannot write either

    second = Mirror(GitSource(str(origin.path)), tmp_path / "state")
    with capture_logs() as lines:
        assert (await second.fetch(commit_id)).id == commit_id
        await second.fetch(commit_id)
    assert await contents(second, commit_id) == {"a": b"1"}
    newer = origin.commit({"a": "2"})
    with pytest.raises(StateUnwritable) as raised:
        await second.fetch(newer)
    await second.close()

    said = [line for line in lines if line["log_level"] == "warning"]
    assert [line["event"] for line in said] == ["the git mirror cannot be written, reading what it holds"]
    assert str(tmp_path / "state") in said[0]["why"]
    assert "mount a writable volume" in raised.value.hint


async def test_a_mirror_outlives_its_process(origin: Repository, tmp_path: Path) -> None:
    commit_id = origin.commit({"a": "1"})
    first = Mirror(GitSource(str(origin.path)), tmp_path / "state")
    await first.fetch(commit_id)
    await first.close()
    origin.path.rename(tmp_path / "away")

    second = Mirror(GitSource(str(origin.path)), tmp_path / "state")
    assert (await second.fetch(commit_id)).id == commit_id
    assert await contents(second, commit_id) == {"a": b"1"}
    await second.close()


def _processor_time() -> float:
    """Seconds of this process and of its children that have ended: other processes may have the cores meanwhile."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


async def test_two_thousand_files_are_listed_and_read_in_no_time(origin: Repository, mirror: Mirror) -> None:
    text = "  key: value\n" * 60
    stream = ["commit refs/heads/main\ncommitter Grace <g> 1 +0000\ndata 5\nmany\n"]
    for number in range(2000):
        content = f"name: m{number}\n{text}"
        stream.append(f"M 100644 inline apps/t{number % 50}/m{number}.yaml\ndata {len(content)}\n{content}\n")
    origin.git("fast-import", "--quiet", stdin="".join(stream).encode())
    origin.git("reset", "--quiet", "--hard")
    first = origin.git("rev-parse", "HEAD")
    await mirror.fetch(first)
    second = origin.commit({"apps/t7/m7.yaml": "name: changed\n"})
    await mirror.fetch(second)

    listing, reading = [], []
    for _ in range(3):
        started = _processor_time()
        tree = await mirror.tree(second)
        listed = _processor_time()
        blobs = await mirror.read([entry.blob_id for entry in tree])
        reading.append(_processor_time() - listed)
        listing.append(listed - started)

    assert len(tree) == len(blobs) == 2000
    assert min(listing) < 0.1
    assert min(reading) < 0.3
    assert await changed(mirror, first, second) == 1


async def test_what_a_commit_says_of_itself_is_read_within_a_bound_and_must_be_what_its_id_says(
    origin: Repository, tmp_path: Path
) -> None:
    origin.commit({"a": "1"})
    large = origin.git("commit-tree", "HEAD^{tree}", stdin=b"x" * (1 << 20))
    origin.git("update-ref", "HEAD", large)
    mirror = Mirror(GitSource(str(origin.path)), tmp_path / "state")
    try:
        commit = await mirror.fetch(await mirror.head())
        with pytest.raises(GitRefused, match="has 1 MiB or more without any file"):
            await mirror.signed(commit.id)
        small = await mirror.fetch(origin.commit({"a": "2"}))
        signed = await mirror.signed(small.id)
        assert (signed.signature, signed.payload) == ("", origin.git("cat-file", "commit", "HEAD").encode() + b"\n")
    finally:
        await mirror.close()
