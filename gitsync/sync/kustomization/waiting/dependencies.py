"""The dependencies of a Kustomization: other Kustomizations, and HelmReleases. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gitsync.api.conditions import is_ready
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization
from gitsync.api.kustomization import Kustomization, source_of
from gitsync.api.names import (
    GIT_REPOSITORY,
    KUSTOMIZATION,
    KUSTOMIZE_API_VERSION,
    KUSTOMIZE_GROUP,
    RECONCILIATION_SUCCEEDED,
    WELL_KNOWN,
)
from gitsync.errors import BlockedError, DependencyMissing, DependencyNotReady
from gitsync.graph import HeldByCycle
from gitsync.release.dependencies.blocked import NAMED
from gitsync.release.dependencies.order import cycle_error
from gitsync.release.dependencies.states import is_current
from gitsync.sources.resolve.commitsources import made_by_flux
from gitsync.sync.standing import Standing
from gitsync.text import listed

#: The Kustomization of a repository of Flux, which ``flux bootstrap`` and Flux's operator make in the cluster, whether
#: Git has it or not.
BOOTSTRAP = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, WELL_KNOWN, WELL_KNOWN)

#: An object that may be waited for; None when it does not exist.
Find = Callable[[ObjectKey], Manifest | None]
#: By dependency with a readyExpr: why it holds the Kustomization back, "" when it does not.
Answers = Mapping[ObjectKey, str]


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a Kustomization has to wait, and whose change may end it."""

    error: BlockedError
    on: frozenset[ObjectKey]


def blocked(
    kustomization: Kustomization,
    held: HeldByCycle[ObjectKey] | None,
    find: Find,
    revision_of: Callable[[ObjectKey], str],
    answers: Answers,
    expects: Callable[[ObjectKey], bool] = lambda _: False,
) -> Blocked | None:
    """What holds a Kustomization back; None when nothing does. ``revision_of`` gives the present revision of a source,
    ``answers`` what readyExprs say: for these dependencies, nothing else counts. A dependency that does not exist is an
    error, unless ``expects`` says that a commit which is being applied brings it.

    A dependency is ready when it is Ready at its present generation; a Kustomization also has to have applied the
    present revision of its source, since before it is not ready for what the commit brings. Flux looks at the revision
    only where both have the same source. Here that is so only of a dependency that is suspended, since that will take
    up no other revision.
    """
    if held is not None:
        return Blocked(_held_error(held), frozenset(held.cycle.members))
    own = kustomization.source
    wanted = [reference.key for reference in kustomization.dependencies()]
    absent = [key for key in wanted if find(key) is None]
    missing = [key for key in absent if not expects(key)]
    unready = {key: f": {why}" for key, why in answers.items() if why}
    unready |= {key: ": it is yet to be applied" for key in absent if key not in missing}
    others = [key for key in wanted if key not in answers]
    unready |= {key: why for key in others if (why := why_not_ready(find(key), revision_of, own)) is not None}
    if not missing and not unready:
        return None
    return Blocked(_error(missing, unready), frozenset([*missing, *unready]))


def why_not_ready(
    manifest: Manifest | None, revision_of: Callable[[ObjectKey], str], source: ObjectKey | None = None
) -> str | None:
    """What to add to "is not ready" (may be ""); None for an object that is ready, or does not exist. ``source`` is
    that of the Kustomization that waits."""
    if manifest is None:
        return None
    if not is_kustomization(ObjectKey.of(manifest)):
        return None if is_current(manifest) else ""
    if not is_ready(manifest):
        return ""
    own, spec = source_of(manifest), manifest.get("spec") or {}
    wanted, suspended = revision_of(own), bool(spec.get("suspend"))
    if not wanted or manifest["status"].get("lastAppliedRevision") == wanted or (suspended and own != source):
        return None
    return f": it has yet to apply {wanted}" + (", and is suspended" if suspended else "")


def awaited(key: ObjectKey, found: Manifest | None, root: Standing | None) -> Manifest | None:
    """An object that may be waited for, as it was ``found``. If ``flux-system/flux-system`` does not exist, the sync of
    the settings, which stands so (``root``), takes its place."""
    return stand_in(root) if found is None and key == BOOTSTRAP and root is not None else found


def stand_in(standing: Standing) -> Manifest:
    """The sync of the settings as if it were the Kustomization ``flux-system/flux-system``, for those that depend on
    that where it does not exist."""
    ready = "True" if standing.reason == RECONCILIATION_SUCCEEDED else "False"
    condition = {"type": "Ready", "status": ready, "reason": standing.reason, "message": standing.message}
    return {
        "apiVersion": KUSTOMIZE_API_VERSION,
        "kind": KUSTOMIZATION,
        "metadata": {"name": BOOTSTRAP.name, "namespace": BOOTSTRAP.namespace, "generation": 1},
        "spec": {"sourceRef": {"kind": GIT_REPOSITORY, "name": WELL_KNOWN}},
        "status": {"observedGeneration": 1, "conditions": [condition], "lastAppliedRevision": standing.revision},
    }


def _error(missing: Sequence[ObjectKey], unready: Mapping[ObjectKey, str]) -> BlockedError:
    texts = [f"dependency '{_named(key)}' does not exist" for key in missing]
    texts += [f"dependency '{_named(key)}' is not ready{more}" for key, more in unready.items()]
    message = listed(texts, NAMED, "; ")
    if not missing:
        return DependencyNotReady(message)
    made = "".join(dict.fromkeys(map(made_by_flux, missing)))
    return DependencyMissing(message, hint=f"{made}add it to the repository, or correct dependsOn")


def _named(key: ObjectKey) -> str:
    return key.namespaced_name if is_kustomization(key) else f"{key.kind} {key.namespaced_name}"


def _held_error(held: HeldByCycle[ObjectKey]) -> BlockedError:
    if held.via is None:
        return cycle_error(held.cycle)
    return DependencyNotReady(
        f"dependency '{_named(held.via)}' is not ready: it is held by the dependency cycle {held.cycle}"
    )
