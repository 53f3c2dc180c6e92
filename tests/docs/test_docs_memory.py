"""docs/security.md says what all bounds of memory come to together, and the container has more."""

from __future__ import annotations

import re

from gitsync import budget, git, kustomize, treememory
from gitsync.build import limits as build
from gitsync.cel import expressions
from gitsync.charts import renderings, workers
from gitsync.cluster import bounds
from gitsync.release import render
from gitsync.release.storage import recordmemory
from gitsync.release.values import references
from gitsync.runtime import cache
from gitsync.sops import program
from gitsync.sources.watch import referred
from gitsync.sync.kustomization.reconcile import builds
from gitsync.web.receivers import gate
from tests.docs.markdown import ROOT
from tests.e2e.limits import memory_limit

ROW = re.compile(r"^\| ([^|]+) \| (\d+) \| ([^|]*)\|$", re.MULTILINE)


def mib(size: int) -> int:
    return size >> 20


def rows() -> dict[str, tuple[int, str]]:
    """What there is at most, in MiB, and what is said of it."""
    text = (ROOT / "docs/security.md").read_text().partition("### Memory")[2].partition("\n## ")[0]
    return {name: (int(most), said) for name, most, said in ROW.findall(text)}


def test_the_bounds_of_memory_are_less_together_than_the_container_has() -> None:
    table = rows()
    total, _ = table.pop("all of it")
    assert sum(most for most, _ in table.values()) == total
    assert total < mib(memory_limit())
    assert f"({mib(memory_limit()):,} MiB)" in (ROOT / "docs/security.md").read_text()


def test_the_figures_are_those_of_the_code() -> None:
    table = rows()
    assert table["what is read"][0] == mib(budget.INPUT)
    parts = (
        *(treememory.TOGETHER, recordmemory.TOGETHER, references.TOGETHER, referred.TOGETHER),
        *(render.TOGETHER, bounds.FOREIGN_TOGETHER, builds.TOGETHER),
    )
    assert re.findall(r"\d+", table["what is read"][1]) == [str(mib(part)) for part in parts]
    assert table["what is remembered to save work"][0] == mib(cache.REMEMBERED)
    caches = (renderings._CACHED, build.REMEMBERED_OUTPUT, build.REMEMBERED_OBJECTS, build.REMEMBERED_BYTES)
    said = re.findall(r"\d+", table["what is remembered to save work"][1])
    assert said == [*(str(mib(part)) for part in caches), "4", str(mib(program.REMEMBERED))]
    places = next(most for name, (most, _) in table.items() if "worker processes" in name)
    assert kustomize.MEMORY == workers.MEMORY
    large = kustomize.LARGE_MEMORY - kustomize.MEMORY
    assert places == 45 + workers.WORKERS * (30 + mib(workers.MEMORY)) + mib(large)
    webhooks = next(most for name, (most, _) in table.items() if "webhooks" in name)
    assert webhooks == 45 + mib(gate.MEMORY)
    gits = next(most for name, (most, _) in table.items() if name.startswith("git,"))
    assert gits == mib(git.memory.TOGETHER)
    inputs, said_of_inputs = table["the files of builds that wait or are done"]
    assert (inputs, re.findall(r"\d+", said_of_inputs)) == (mib(build.INPUTS), [str(mib(build.INPUTS_OF_OWNER))])
    assert table["expressions in CEL"][0] == 18 + mib(expressions._BOUNDS.memory)
