"""Not read is not gone: what stays in Git in another guise is an error for what it held, and never counts as gone."""

from __future__ import annotations

import pytest

from gitsync.api import ObjectKey
from gitsync.api.identity import Origin
from gitsync.manifests import Desired, Unread, unread_errors
from tests.cost import costs_below
from tests.manifests.commits import Repository, config_map, errors, names

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 88\n"
SUBMODULE = "a Git submodule"
LEADS_OUT = "a symbolic link that leads out of the repository"


def removed(before: Desired, after: Desired) -> list[tuple[ObjectKey, str]]:
    """What a sync of `after` would prune, as its inventory has it."""
    return [(key, str(item.origin)) for key, item in before.objects.items() if key not in after.objects]


def speaks_against(before: Desired, after: Desired) -> list[str]:
    """All errors of a sync of `after`."""
    return errors(after) + [str(error) for error in unread_errors(after.unread, removed(before, after))]


HINT = "(put it right; to have that deleted, take it out of the repository or name it in .sourceignore)"


async def test_a_manifest_that_becomes_a_pointer_of_git_lfs_is_an_error() -> None:
    repository = Repository({"fleet/lfs.yaml": config_map("lfs"), "fleet/stays.yaml": config_map("stays")})
    before = await repository.desired("c1")
    repository.change({"fleet/lfs.yaml": POINTER})
    after = await repository.desired("c2")
    assert names(after) == ["stays"]
    assert speaks_against(before, after) == [
        "fleet/lfs.yaml:1: a pointer of Git LFS, whose content gitsync does not fetch"
        " (commit the file itself, after git lfs untrack, or name it in .sourceignore)"
    ]
    assert after.bad_paths == {"fleet/lfs.yaml"}


async def test_a_folder_that_becomes_a_submodule_is_an_error_for_what_it_held() -> None:
    repository = Repository({"fleet/lib/module.yaml": config_map("module"), "fleet/stays.yaml": config_map("stays")})
    before = await repository.desired("c1", root="fleet")
    repository.change({"fleet/lib/module.yaml": None})
    repository.unreadable = {"fleet/lib": SUBMODULE}
    after = await repository.desired("c2", root="fleet")
    assert (names(after), after.errors) == (["stays"], ())
    assert speaks_against(before, after) == [
        f"fleet/lib: not read: {SUBMODULE}; ConfigMap/module came from here and stays as it is {HINT}"
    ]


async def test_a_submodule_or_link_that_held_nothing_is_no_error() -> None:
    repository = Repository({"a.yaml": config_map("a"), "b.yaml": config_map("b"), "libs/c.yaml": config_map("c")})
    before = await repository.desired("c1")
    repository.change({"a.yaml": None, "libs/c.yaml": None})
    repository.unreadable = {"lib": SUBMODULE, "a": LEADS_OUT}
    after = await repository.desired("c2")
    assert len(removed(before, after)) == 2
    assert speaks_against(before, after) == []
    assert after.bad_paths == frozenset()


async def test_a_manifest_that_becomes_a_link_to_nowhere_is_an_error() -> None:
    repository = Repository({"fleet/link.yaml": config_map("link"), "fleet/stays.yaml": config_map("stays")})
    await repository.desired("c1")
    repository.change({"fleet/link.yaml": None})
    repository.unreadable = {"fleet/link.yaml": LEADS_OUT, "other/link.yaml": LEADS_OUT}
    after = await repository.desired("c2", root="fleet")
    assert names(after) == ["stays"]
    assert errors(after) == [f"fleet/link.yaml: {LEADS_OUT} (put it right, or name it in .sourceignore)"]
    assert after.bad_paths == {"fleet/link.yaml"}


async def test_a_document_that_lost_its_head_is_an_error_for_what_its_file_held() -> None:
    repository = Repository({"fleet/nohead.yaml": "# one\n" + config_map("nohead"), "values.yaml": "replicas: 1\n"})
    before = await repository.desired("c1")
    repository.change({"fleet/nohead.yaml": "# one\nmetadata: {name: nohead}\n"})
    after = await repository.desired("c2")
    assert (names(after), after.errors) == ([], ())
    assert speaks_against(before, after) == [
        "fleet/nohead.yaml:2:1: not read: a document without apiVersion and kind;"
        f" ConfigMap/nohead came from here and stays as it is {HINT}"
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("replicas: 1\n", "1:1: not read: a document without apiVersion and kind"),
        ("- a\n- b\n", "1:1: not read: a document that is a list, not an object"),
        ("../base/link.yaml", "1:1: not read: a document that is a single value, not an object"),
    ],
)
async def test_whatever_a_manifest_turns_into_is_named_where_it_held_something(text: str, reason: str) -> None:
    repository = Repository({"a.yaml": config_map("a")})
    before = await repository.desired("c1")
    repository.change({"a.yaml": text})
    after = await repository.desired("c2")
    assert after.errors == ()
    assert [line.partition(";")[0] for line in speaks_against(before, after)] == [f"a.yaml:{reason}"]


@pytest.mark.parametrize("text", ["", "# a comment\n", "---\n...\n", "null\n"])
async def test_a_file_that_is_emptied_holds_nothing_any_more(text: str) -> None:
    repository = Repository({"a.yaml": config_map("a")})
    before = await repository.desired("c1")
    repository.change({"a.yaml": text})
    after = await repository.desired("c2")
    assert len(removed(before, after)) == 1
    assert speaks_against(before, after) == []


async def test_what_is_taken_out_or_ignored_is_gone() -> None:
    repository = Repository({f"{name}/x.yaml": config_map(name) for name in "abcd"} | {"values.yaml": "a: 1\n"})
    before = await repository.desired("c1")
    repository.change({"a/x.yaml": None, "c/x.yaml": None, ".sourceignore": "b/\nc/\n/d\n"})
    repository.unreadable = {"c": SUBMODULE}
    after = await repository.desired("c2")
    assert len(removed(before, after)) == 4
    assert speaks_against(before, after) == []


async def test_a_json_file_that_was_read_before_is_an_error_for_what_it_held() -> None:
    text = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}'
    files = {"a.json": text, "package.json": "{}"}
    before = await Repository(files, json_manifests=True).desired()
    after = await Repository(files).desired()
    assert [line.partition(";")[0] for line in speaks_against(before, after)] == [
        "a.json: not read: a .json file, which is read only where the setting json_manifests is on"
    ]


async def test_manifests_that_become_part_of_a_chart_are_an_error_for_what_they_held() -> None:
    repository = Repository({"app/a.yaml": config_map("a"), "app/templates/b.yaml": config_map("b")})
    before = await repository.desired("c1")
    repository.change({"app/Chart.yaml": "apiVersion: v2\nname: app\n", "app/a.yaml": None})
    after = await repository.desired("c2")
    assert names(after) == []
    assert speaks_against(before, after) == [
        "app/templates/b.yaml: not read: a file of a Helm chart, which only a HelmRelease applies;"
        f" ConfigMap/b came from here and stays as it is {HINT}"
    ]


async def test_a_root_inside_of_a_submodule_is_not_gone_either() -> None:
    repository = Repository({"fleet/prod/a.yaml": config_map("a")})
    before = await repository.desired("c1", root="fleet/prod")
    repository.change({"fleet/prod/a.yaml": None})
    repository.unreadable = {"fleet": SUBMODULE}
    after = await repository.desired("c2", root="fleet/prod")
    assert [line.partition(";")[0] for line in speaks_against(before, after)] == [f"fleet: not read: {SUBMODULE}"]


@pytest.mark.parametrize("name", ["kustomization.yaml", "Kustomization"])
async def test_a_kustomization_that_is_a_link_to_nowhere_still_holds_its_directory(name: str) -> None:
    repository = Repository({"apps/patch.yaml": config_map("a")})
    repository.unreadable = {f"apps/{name}": LEADS_OUT}
    desired = await repository.desired()
    assert names(desired) == []
    assert desired.kustomized == ("apps",)
    assert "apps/patch.yaml" in desired.bad_paths


async def test_a_chart_whose_chart_file_is_a_link_to_nowhere_is_still_no_manifests() -> None:
    repository = Repository({"app/templates/a.yaml": "{{ if }}\n"})
    repository.unreadable = {"app/Chart.yaml": LEADS_OUT}
    assert (await repository.desired()).errors == ()


@pytest.mark.parametrize("how", ["link", "pointer"])
async def test_rules_that_cannot_be_read_hold_back_what_they_are_about(how: str) -> None:
    repository = Repository({"apps/a.yaml": config_map("a"), "b.yaml": config_map("b")})
    if how == "link":
        repository.unreadable = {"apps/.sourceignore": LEADS_OUT}
    else:
        repository.change({"apps/.sourceignore": POINTER})
    desired = await repository.desired()
    assert names(desired) == ["b"]
    assert "apps/a.yaml" in desired.bad_paths
    assert len(desired.errors) == 1


def test_errors_name_a_few_of_many_objects() -> None:
    keys = [ObjectKey("", "ConfigMap", "default", f"c{number}") for number in range(5)]
    leaving = [(key, f"lib/x/{key.name}.yaml:3:1") for key in reversed(keys)]
    (error,) = unread_errors([Unread(Origin("lib"), "a Git submodule"), Unread(Origin("li"), "another")], leaving)
    assert error.message == (
        "not read: a Git submodule; ConfigMap/default/c0, ConfigMap/default/c1, ConfigMap/default/c2 and 2 more came"
        " from here and stay as they are"
    )
    assert error.origin == Origin("lib")


def test_a_file_of_many_documents_without_a_head_is_one_error_at_the_most_likely_of_them() -> None:
    parts = [Unread(Origin("a.yaml", line, 1), "no head", suspect=line in (5, 7)) for line in range(1, 10)]
    (error,) = unread_errors(parts, [(ObjectKey("", "ConfigMap", "", "a"), "a.yaml:3:1")])
    assert error.origin == Origin("a.yaml", 5, 1)


def test_thousands_of_deep_paths_are_told_apart_in_time() -> None:
    deep = [f"{number}/" + "d/" * 2000 + "x.yaml" for number in range(2000)]
    leaving = [(ObjectKey("", "ConfigMap", "", str(number)), f"{path}:1:1") for number, path in enumerate(deep)]
    unread = [Unread(Origin(f"{number}/d"), "a Git submodule") for number in range(0, 4000, 2)]
    assert len(costs_below(2.0, lambda: unread_errors(unread, leaving))) == 1000


@pytest.mark.parametrize("origin", ["a:1/b.yaml", "a:1/b.yaml:3", "a:1/b.yaml:3:1"])
def test_origins_of_the_inventory_are_read_with_and_without_a_line(origin: str) -> None:
    part = Unread(Origin("a:1/b.yaml", 7, 1), "a document without apiVersion and kind")
    (error,) = unread_errors([part], [(ObjectKey("", "ConfigMap", "", "a"), origin)])
    assert (str(error.origin), error.key) == ("a:1/b.yaml:7:1", ObjectKey("", "ConfigMap", "", "a"))
