"""Putting gitsync into a cluster, waiting until it runs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gitsync import kubeyaml
from gitsync.agent.ownkinds import ensure_crds
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import CLI_FIELD_MANAGER, RBAC_GROUP
from gitsync.apply.applier import Applier
from gitsync.apply.wait import WaitFor, wait_ready
from gitsync.charts import install_order
from gitsync.errors import ReleaseError
from gitsync.git import redacted_url
from gitsync.health import Health
from gitsync.install.bundle import CONFIGURATION_FILE, CREDENTIALS
from gitsync.release import flux
from gitsync.runtime.interrupt import Interrupt
from gitsync.text import listed

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: Selects all objects of config/.
PART_OF = "app.kubernetes.io/part-of=gitsync"
#: Selects the ConfigMap with the agent's settings, whose name changes with its content.
CONFIGURATION = f"{PART_OF},app.kubernetes.io/component=configuration"
_FLUX_PATIENCE = 60.0

Say = Callable[[str], None]


async def refuse_beside_flux(cluster: Cluster) -> None:
    """Raises: ReleaseError when Flux serves the same kinds here."""
    if controllers := await flux_controllers(cluster):
        raise ReleaseError(
            f"Flux is running: {listed(controllers)}. It serves the same kinds, and two agents undo each other's work",
            action="install",
            key=controllers[0],
            hint="gitsync install --take-over scales them to 0 first; what they installed is gitsync's then, as it is",
        )


async def flux_controllers(cluster: Cluster) -> list[ObjectKey]:
    """Flux's controllers that run and serve the same kinds. One request."""
    return flux.competing(await cluster.list("apps", "Deployment", labels=flux.DEPLOYMENTS))


async def stop_flux(cluster: Cluster, say: Say) -> None:
    """Scale these controllers to 0 and wait until their pods have ended. What they installed is left as it is.

    Raises: NotReadyInTime.
    """
    stopping: dict[ObjectKey, Manifest] = {}
    for key in await flux_controllers(cluster):
        say(f"scaling {key} to 0")
        stopping[key] = await cluster.patch(key, {"spec": {"replicas": 0}}, manager=CLI_FIELD_MANAGER)

    async def tell(reason: str) -> None:
        say(f"waiting for {reason}")

    want = WaitFor(stopping, flux.DEPLOYMENTS, _FLUX_PATIENCE, judge=_ended, on_reason=tell)
    await wait_ready(cluster, want, Interrupt())


def _ended(deployment: Manifest, pods: Sequence[Manifest]) -> Health:
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"] or status.get("replicas"):
        return Health("progressing", "Stopping", f"{status.get('replicas', 0)} pods are still there")
    return Health("ready")


async def refuse_to_forget(cluster: Cluster, namespace: str) -> None:
    """Refuses an installation without a repository where there is one with a repository, which would lose it.

    Raises: ReleaseError when the agent in ``namespace`` syncs a repository.
    """
    for item in await cluster.list("", "ConfigMap", namespace=namespace, labels=CONFIGURATION):
        settings = kubeyaml.load((item.get("data") or {}).get(CONFIGURATION_FILE, "")) or {}
        if repo := settings.get("repo"):
            name = item["metadata"]["name"]
            raise ReleaseError(
                f"the agent in namespace {namespace} syncs {redacted_url(repo)}; without --repo it would not any more",
                action="install",
                hint="name all its settings again, or the file that holds them with --config: "
                f"kubectl -n {namespace} get configmap {name} -o yaml shows them",
            )


async def install(
    cluster: Cluster, manifests: Sequence[Manifest], credentials: Mapping[str, bytes], patience: float, say: Say
) -> None:
    """Apply what ``bundle`` made, and return when the agent runs; ``patience`` is in seconds.

    ``credentials`` go into the Secret that the agent's pod mounts. CustomResourceDefinitions that are Flux's stay.
    Rights that an earlier installation gave and this one does not are taken away.

    Raises: NotReadyInTime, saying what the pod waits for; ApiError.
    """
    applier = Applier(cluster, CLI_FIELD_MANAGER)
    await ensure_crds(cluster)
    rest = install_order(item for item in manifests if item["kind"] != "CustomResourceDefinition")
    if credentials:
        agent = next(item for item in rest if item["kind"] == "Deployment")
        rest = install_order([*rest, _secret(agent["metadata"]["namespace"], credentials)])
    applied = await applier.apply_all(rest)
    for key in applied:
        say(f"applied {key}")
    namespace = next(key.namespace for key in applied if key.kind == "Deployment")
    await _remove_rest(cluster, await bindings(cluster, namespace), applied, say)
    deployments = {key: item for key, item in applied.items() if key.kind == "Deployment"}

    async def tell(reason: str) -> None:
        say(f"waiting for {reason}")

    await wait_ready(cluster, WaitFor(deployments, PART_OF, patience, on_reason=tell), Interrupt())
    old = await cluster.list("", "ConfigMap", namespace=namespace, labels=CONFIGURATION)
    await _remove_rest(cluster, old, applied, say)


async def bindings(cluster: Cluster, namespace: str) -> list[Manifest]:
    """The bindings that give rights to the agent in ``namespace``, of all installations so far. Two requests."""
    found = await cluster.list(RBAC_GROUP, "RoleBinding", namespace=namespace, labels=PART_OF)
    everywhere = await cluster.list(RBAC_GROUP, "ClusterRoleBinding", labels=PART_OF)
    return found + [item for item in everywhere if _subject_namespaces(item) == {namespace}]


def _subject_namespaces(binding: Manifest) -> set[str]:
    return {subject.get("namespace", "") for subject in binding.get("subjects") or ()}


def _secret(namespace: str, credentials: Mapping[str, bytes]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": CREDENTIALS,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "gitsync"},
        },
        "data": {name: base64.b64encode(data).decode() for name, data in credentials.items()},
    }


async def _remove_rest(
    cluster: Cluster, found: Sequence[Manifest], applied: Mapping[ObjectKey, Manifest], say: Say
) -> None:
    for item in found:
        key = ObjectKey.of(item)
        if key not in applied and await cluster.delete(key, uid=item["metadata"]["uid"]):
            say(f"deleted {key}, which is not part of this installation")
