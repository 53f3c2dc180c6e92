"""What only the server writes into metadata."""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING, Final

from gitsync.sandbox.failures import Cause, Failure, Named, bad_request, invalid

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_KEPT: Final = ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion", "managedFields")
_DELETION: Final = ("deletionTimestamp", "deletionGracePeriodSeconds")
_MODIFIED: Final = "the object has been modified; please apply your changes to the latest version and try again"


def now() -> str:
    """The time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def suffix() -> str:
    """Five letters, for names that are made."""
    return "".join(random.choices(_ALPHABET, k=5))  # noqa: S311  # no secret


def fresh(manifest: Manifest, namespace: str, what: Named) -> None:
    """What a new object gets. Changes ``manifest``. Raises: Failure when it has no name."""
    metadata = manifest["metadata"]
    if not metadata.get("name"):
        if not metadata.get("generateName"):
            said = "Required value: name or generateName is required"
            raise invalid(what, [Cause("FieldValueRequired", "metadata.name", said)])
        metadata["name"] = metadata["generateName"] + suffix()
    for name in (*_DELETION, "managedFields", "generation", "namespace", "selfLink"):
        metadata.pop(name, None)
    if namespace:
        metadata["namespace"] = namespace
    metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now())


def carried_over(manifest: Manifest, before: Manifest) -> None:
    """What an object keeps when it is written. Changes ``manifest``."""
    old, new = before["metadata"], manifest["metadata"]
    for name in (*_KEPT, *_DELETION):
        if name in old:
            new[name] = old[name]
        else:
            new.pop(name, None)


def check_identity(manifest: Manifest, namespace: str, name: str) -> None:
    """Raises: Failure when the object is another than the one of the path."""
    metadata = manifest["metadata"]
    if name and metadata.setdefault("name", name) != name:
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")
    if namespace and metadata.get("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def check_versions(manifest: Manifest, before: Manifest, what: Named) -> None:
    """Raises: Failure when the object is not, or no longer, the one that the writer has read."""
    from gitsync.sandbox.failures import conflict

    old, new = before["metadata"], manifest["metadata"]
    if new.get("uid", old["uid"]) != old["uid"]:
        raise conflict(
            what, f"Precondition failed: UID in precondition: {new['uid']}, UID in object meta: {old['uid']}"
        )
    if new.get("resourceVersion") not in (None, "", old["resourceVersion"]):
        raise conflict(what, _MODIFIED)


def check_finalizers(manifest: Manifest, before: Manifest, what: Named) -> None:
    """Raises: Failure when an object that is being deleted gets another finalizer."""
    if "deletionTimestamp" not in before["metadata"]:
        return
    known = before["metadata"].get("finalizers") or ()
    added = [each for each in manifest["metadata"].get("finalizers") or () if each not in known]
    if added:
        quoted = ", ".join(f'"{each}"' for each in added)
        said = "no new finalizers can be added if the object is being deleted, found new finalizers"
        message = f"Forbidden: {said} []string{{{quoted}}}"
        raise invalid(what, [Cause("FieldValueForbidden", "metadata.finalizers", message)])


def deleting(before: Manifest, finalizers: list[str]) -> Manifest:
    """An object that waits for its finalizers to go."""
    old = before["metadata"]
    metadata = {**old, "finalizers": finalizers}
    if "deletionTimestamp" not in old:
        metadata |= {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
        if old.get("generation"):
            metadata["generation"] = old["generation"] + 1
    return {**before, "metadata": metadata}


def propagation_finalizers(before: Manifest, policy: str) -> list[str]:
    """The finalizers of an object that is deleted with a propagation policy."""
    found = [each for each in before["metadata"].get("finalizers") or () if each not in (FOREGROUND, ORPHAN)]
    kept = [each for each in before["metadata"].get("finalizers") or () if each in (FOREGROUND, ORPHAN)]
    wanted = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN], "": kept}
    return found + wanted.get(policy, [])


def unsupported() -> Failure:
    """For a body in a format that is not spoken."""
    return Failure(415, "UnsupportedMediaType", "415: Unsupported Media Type")
