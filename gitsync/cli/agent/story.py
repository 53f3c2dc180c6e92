"""The redis and backend story, a commit at a time: what ``gitsync demo`` tells."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gitsync.api.conditions import condition_of, ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import COMMIT_ANNOTATION, DEPENDENCY_CYCLE, HELM_GROUP, HELM_RELEASE, STALLED
from gitsync.errors import NotReadyInTime
from gitsync.release.dependencies.states import is_current
from gitsync.runtime.until import until

if TYPE_CHECKING:
    from gitsync.cluster import Informer

PLACEHOLDER = "http://charts.example"
STEP_TIMEOUT = 60.0
#: The names of the story's objects, all in the namespace ``default``.
OURS = frozenset({"redis", "backend", "bitnami"})
REDIS = "fleet/releases/redis.yaml"
BACKEND = "fleet/releases/backend.yaml"
#: The directories of the sample repository that the story uses.
TOLD = ("fleet", "clusters/production", "infrastructure", "apps", "secrets")
#: Left out of them: the demo's agent is pointed at ``fleet``.
_LEFT_OUT = "clusters/production/flux-system/"
#: Left out where there is no sops to decrypt them.
_ENCRYPTED = ("clusters/production/secrets.yaml", "secrets/")
#: What the story adds to ``fleet`` when it goes on to Kustomizations: one that applies ``clusters/production``.
PRODUCTION = {
    "fleet/production.yaml": """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: production
  namespace: default
spec:
  interval: 10m
  path: ./clusters/production
  prune: true
  sourceRef:
    kind: GitRepository
    name: flux-system
"""
}

#: The HelmReleases as the cluster has them now, by name; one that is gone is missing.
Seen = Mapping[str, Manifest]


@dataclass(frozen=True, slots=True)
class Step:
    """One commit of the story: the title above it, what it changes (``edit`` gets all files by path, and returns them
    changed), and when it is ``done``."""

    title: str
    subject: str
    edit: Callable[[dict[str, str]], dict[str, str]]
    done: Callable[[Seen], bool]


def _replaced(path: str, *changes: tuple[str, str]) -> Callable[[dict[str, str]], dict[str, str]]:
    def edit(files: dict[str, str]) -> dict[str, str]:
        text = files[path]
        for old, new in changes:
            assert old in text, f"{path} has no {old!r}"
            text = text.replace(old, new)
        return {**files, path: text}

    return edit


def _both(*edits: Callable[[dict[str, str]], dict[str, str]]) -> Callable[[dict[str, str]], dict[str, str]]:
    def edit(files: dict[str, str]) -> dict[str, str]:
        for one in edits:
            files = one(files)
        return files

    return edit


def _ready(seen: Seen) -> bool:
    return all(name in seen and is_current(seen[name]) for name in ("redis", "backend"))


def _redis_failed(seen: Seen) -> bool:
    stalled = condition_of(seen.get("redis"), STALLED)
    waits = "is not ready" in ready_of(seen.get("backend")).get("message", "")
    return stalled.get("status") == "True" and waits


def _cycle_named(seen: Seen) -> bool:
    return all(ready_of(seen.get(name)).get("reason") == DEPENDENCY_CYCLE for name in ("redis", "backend"))


def _in_production(seen: Seen) -> bool:
    """Whether the Kustomizations have taken over both releases: ``ui`` is a value that only
    apps/production/backend.yaml sets."""
    return _ready(seen) and "ui" in seen["backend"]["spec"]["values"]


def _without_fleet(files: dict[str, str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if not path.startswith("fleet/")}


_TAG = ("    auth:\n      enabled: false", '    auth:\n      enabled: false\n    image:\n      tag: "nonexistent"')
_DEPENDS = ("  chart:\n", "  dependsOn:\n    - name: backend\n  chart:\n")
_MEMORY = ("    auth:\n", "    master:\n      resources:\n        requests:\n          memory: 32Mi\n    auth:\n")
_CACHE = ("tcp://redis-master:6379", "tcp://redis-master.default:6379")

STORY: Sequence[Step] = (
    Step(
        "Deploy: backend depends on redis, so redis comes first.",
        "redis, and backend which needs it",
        lambda files: files,
        _ready,
    ),
    Step(
        "Upgrade both in one commit: backend is upgraded only after redis is ready again.",
        "redis: more memory; backend: full host name",
        _both(_replaced(REDIS, _MEMORY), _replaced(BACKEND, _CACHE)),
        _ready,
    ),
    Step(
        "A mistake: redis gets an image that does not exist, and backend, changed too, waits for it.",
        "redis: new image; backend: two replicas",
        _both(_replaced(REDIS, _TAG), _replaced(BACKEND, ("  values:\n", "  values:\n    replicaCount: 2\n"))),
        _redis_failed,
    ),
    Step(
        "The fix: one commit, and both recover without further help.",
        "redis: the image that exists",
        _replaced(REDIS, (_TAG[1], _TAG[0])),
        _ready,
    ),
    Step(
        "A loop: redis is made to wait for backend, which waits for redis. gitsync names the cycle.",
        "redis: wait for backend",
        _replaced(REDIS, _DEPENDS),
        _cycle_named,
    ),
    Step("The loop is broken by the next commit.", "redis: wait for nobody", _replaced(REDIS, _DEPENDS[::-1]), _ready),
    Step(
        "The usual structure: both move into Kustomizations, infrastructure and apps. Nothing is uninstalled for it.",
        "production: infrastructure, then apps",
        lambda files: {**_without_fleet(files), **PRODUCTION},
        _in_production,
    ),
    Step(
        "Remove everything: apps, which depend on infrastructure, go first.",
        "remove production",
        lambda files: {**_without_fleet(files), "fleet/README": "nothing is left\n"},
        lambda seen: not seen,
    ),
)


class Fleet:
    """A Git repository of its own, with the sample repository's manifests in it."""

    def __init__(self, directory: Path, sample: Path, charts_url: str, *, encrypted: bool) -> None:
        """``encrypted``: with the files that sops has to decrypt."""
        self.directory = directory
        left_out = (_LEFT_OUT,) if encrypted else (_LEFT_OUT, *_ENCRYPTED)
        paths = [path for part in TOLD for path in sorted((sample / part).rglob("*.yaml"))]
        self.files = {
            name: _adapted(path.read_text(), charts_url)
            for path in paths
            if not (name := path.relative_to(sample).as_posix()).startswith(left_out)
        }
        directory.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: dict[str, str], subject: str) -> str:
        """Make the repository hold exactly these files, and commit that. Returns the commit's id."""
        for part in TOLD:
            shutil.rmtree(self.directory / part, ignore_errors=True)
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.directory / "README").write_text("made by gitsync demo\n")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "-m", subject)
        self.files = files
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
        command = ["git", *who, *arguments]
        done = subprocess.run(  # noqa: S603 - fixed words
            command, cwd=self.directory, check=True, timeout=30, capture_output=True, text=True
        )
        return done.stdout.strip()


def _adapted(text: str, charts_url: str) -> str:
    """A file of the sample repository as the demo commits it: the placeholder is the chart server's URL, releases fail
    after 5 s (nobody wants to watch for five minutes), and all is in the namespace default, since a real cluster may
    have a flux-system that is in use."""
    text = text.replace(PLACEHOLDER, charts_url).replace("namespace: flux-system", "namespace: default")
    return text.replace("  interval: 5m\n", "  interval: 5m\n  timeout: 5s\n")


async def _until(done: Callable[[], bool], watch: Informer) -> None:
    """Wait until ``done``, which is asked again whenever an object of ``watch`` changes. Raises: NotReadyInTime."""
    try:
        async with asyncio.timeout(STEP_TIMEOUT):
            await until(watch, done)
    except TimeoutError:
        raise NotReadyInTime(f"the story got stuck: this step was not done within {STEP_TIMEOUT:g} s") from None


async def step_done(step: Step, commit: str, releases: Informer) -> None:
    """Wait until the releases look as a step wants, and its commit has reached them. Raises: NotReadyInTime."""
    await _until(lambda: _reached(commit, _releases(releases)) and step.done(_releases(releases)), releases)


async def all_gone(watch: Informer) -> None:
    """Wait until nothing of the story is left in a watch. Raises: NotReadyInTime."""
    await _until(lambda: not any(key.namespace == "default" and key.name in OURS for key, _ in watch.items()), watch)


def _reached(commit: str, seen: Seen) -> bool:
    stamps = [(item["metadata"].get("annotations") or {}).get(COMMIT_ANNOTATION) for item in seen.values()]
    return not seen or commit in stamps


def _releases(watch: Informer) -> Seen:
    wanted = {ObjectKey(HELM_GROUP, HELM_RELEASE, "default", name) for name in ("redis", "backend")}
    return {key.name: manifest for key, manifest in watch.items() if key in wanted}
