"""Checks of what an agent needs: programs, an API server, rights, definitions, and that no other controller serves
the same kinds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gitsync import kubeyaml
from gitsync.agent.ownkinds import require_kinds
from gitsync.api.crds import crd_names
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import CLI_FIELD_MANAGER
from gitsync.errors import Forbidden, GitsyncError, KindUnknown
from gitsync.health import assess
from gitsync.install.bundle import AGENT, NAMESPACED, directory, is_namespaced
from gitsync.install.installer import flux_controllers
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Server-side apply is generally available since then.
OLDEST_KUBERNETES = (1, 22)
_PROGRAM_PATIENCE = 10.0
_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``warning``: an agent can run with it; ``failed``: it cannot; ``hint`` says how to
    fix it."""

    what: str
    result: Literal["ok", "warning", "failed"]
    text: str
    hint: str = ""


async def programs() -> AsyncIterator[Finding]:
    """The programs that gitsync starts."""
    yield await _program("git", "--version", hint="install git: every repository is read with it")


async def _program(name: str, *arguments: str, hint: str) -> Finding:
    try:
        process = await asyncio.create_subprocess_exec(
            name,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return Finding(name, "failed", f"cannot be started: {error.strerror}", hint)
    try:
        async with asyncio.timeout(_PROGRAM_PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return Finding(name, "failed", f"does not answer within {_PROGRAM_PATIENCE:g}s", hint)
    text = output.decode(errors="replace").strip()
    if process.returncode:
        return Finding(name, "failed", text, hint)
    return Finding(name, "ok", text.removeprefix("git version "))


async def kubernetes(cluster: Cluster) -> Finding:
    """The API server: whether it answers, and whether it is new enough."""
    version = (await cluster.served()).version
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < OLDEST_KUBERNETES:
        oldest = ".".join(map(str, OLDEST_KUBERNETES))
        return Finding("kubernetes", "failed", version, f"gitsync needs {oldest} or later, for server-side apply")
    return Finding("kubernetes", "ok", version)


async def definitions(cluster: Cluster) -> Finding:
    """The CustomResourceDefinitions. A user who may not read them learns only whether they are served."""
    keys = [ObjectKey("apiextensions.k8s.io", "CustomResourceDefinition", "", name) for name in crd_names()]
    what = "custom resource definitions"
    try:
        found = await asyncio.gather(*(cluster.find(key) for key in keys))
    except Forbidden:
        try:
            await require_kinds(cluster)
        except KindUnknown as error:
            return of_error(what, error)
        return Finding(what, "ok", "HelmReleases and all kinds of sources are served")
    if missing := [key.name for key, live in zip(keys, found, strict=True) if live is None]:
        return Finding(
            what, "failed", f"missing: {', '.join(missing)}", "gitsync install brings them, and so does gitsync run"
        )
    waiting = [live["metadata"]["name"] for live in found if live is not None and assess(live).status != "ready"]
    if waiting:
        return Finding(what, "failed", f"not established: {', '.join(waiting)}", "kubectl describe crd says why")
    return Finding(what, "ok", f"all {len(keys)} are established")


def agent(live: Manifest | None, namespace: str) -> Finding:
    """The agent that ``gitsync install`` put there; ``live`` is its Deployment."""
    key = ObjectKey("apps", "Deployment", namespace, AGENT)
    if live is None:
        hint = "gitsync install puts one there; one that runs elsewhere (gitsync run) is not seen from here"
        return Finding("agent", "warning", f"{key} does not exist", hint)
    image = live["spec"]["template"]["spec"]["containers"][0]["image"]
    health = assess(live)
    if health.status != "ready":
        return Finding("agent", "failed", f"{key} ({image}): {health.message}", f"kubectl -n {namespace} describe pods")
    return Finding("agent", "ok", f"{key} is running {image}")


async def beside_flux(cluster: Cluster) -> Finding:
    """Whether another controller (Flux's, say) serves the same kinds."""
    try:
        controllers = await flux_controllers(cluster)
    except Forbidden:
        return Finding("flux", "warning", "you may not look whether it is running", "an administrator may")
    if controllers:
        text = f"{listed(controllers)} serve the same kinds: two agents undo each other's work"
        return Finding("flux", "failed", text, "gitsync install --take-over scales them to 0")
    return Finding("flux", "ok", "not running")


async def rights(cluster: Cluster, user: str = "", namespace: str = "") -> Finding:
    """Whether ``user`` ("" for the user of the command) may do what the agent does for itself, everywhere or in the
    one namespace that it serves; config/rbac.yaml and config/namespaced/role.yaml list it."""
    rules = _rules(namespace)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def ask(rule: Manifest) -> bool:
        async with slots:
            return await _allowed(cluster, rule, user)

    try:
        answers = await asyncio.gather(*map(ask, rules))
    except Forbidden:
        return Finding("rights", "warning", f"you may not ask what {user} may do", "an administrator may")
    except KindUnknown:  # the sandbox: everybody has all rights there
        return Finding("rights", "warning", f"this API server does not say what {user} may do")
    who, where = user or "you", f" in namespace {namespace}" if namespace else ""
    if missing := [rule for rule, allowed in zip(rules, answers, strict=True) if not allowed]:
        hint = "kubectl apply --server-side -k config brings them, and so does gitsync install"
        if namespace:
            hint = f"gitsync install --components {NAMESPACED} --namespace {namespace} brings them"
        return Finding("rights", "failed", f"{who} may not {_summary(missing)}{where}", hint)
    return Finding("rights", "ok", f"{who} may do the {len(rules)} things that the agent needs for itself{where}")


async def _allowed(cluster: Cluster, rule: Manifest, user: str) -> bool:
    kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
    spec: dict[str, Any] = {"resourceAttributes": rule, **({"user": user} if user else {})}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": {}, "spec": spec}
    answer = await cluster.create(review, manager=CLI_FIELD_MANAGER)
    return bool(answer["status"]["allowed"])


def _rules(namespace: str) -> list[Manifest]:
    """What the ClusterRole ``gitsync`` allows, or the Role ``gitsync-watch`` in its namespace: one verb on one resource
    each, as an access review asks for it.
    """
    file, kind = (f"{NAMESPACED}/role.yaml", "Role") if namespace else ("rbac.yaml", "ClusterRole")
    roles = (kubeyaml.load(document.text) for document in kubeyaml.split((directory() / file).read_text()))
    role = next(item for item in roles if item and item["kind"] == kind)
    return [{"namespace": namespace, **rule} for rule in _attributes(role["rules"])]


def _attributes(rules: Iterable[Manifest]) -> Iterable[Manifest]:
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                name, _, subresource = resource.partition("/")
                for verb in rule["verbs"]:
                    yield {"group": group, "resource": name, "subresource": subresource, "verb": verb}


def _summary(missing: Sequence[Manifest]) -> str:
    """``get, list secrets; patch helmreleases/status``."""
    by_resource: dict[str, list[str]] = {}
    for rule in missing:
        resource = "/".join(filter(None, (rule["resource"], rule["subresource"])))
        by_resource.setdefault(resource, []).append(rule["verb"])
    return "; ".join(f"{', '.join(verbs)} {resource}" for resource, verbs in by_resource.items())


async def of_cluster(cluster: Cluster, namespace: str, served: str, *, installed: bool) -> AsyncIterator[Finding]:
    """Everything about a cluster; what an installation brings only when ``installed`` is asked for. ``served`` is the
    only namespace to be served, "" for all, or for what the agent in ``namespace`` is made for.
    """
    yield await kubernetes(cluster)
    yield await beside_flux(cluster)
    if not installed:
        yield await rights(cluster, namespace=served)
        return
    yield await definitions(cluster)
    try:
        live = await cluster.find(ObjectKey("apps", "Deployment", namespace, AGENT))
        yield agent(live, namespace)
    except Forbidden as error:
        yield Finding("agent", "warning", error.message, "an administrator may look")
        live = None
    if live is None:
        yield await rights(cluster, namespace=served)
        return
    served = namespace if is_namespaced(live) else served
    yield await rights(cluster, f"system:serviceaccount:{namespace}:{AGENT}", served)


def of_error(what: str, error: GitsyncError) -> Finding:
    """The finding of a check that could not be made."""
    return Finding(what, "failed", error.message, error.hint)
