"""An object's name in ``status.inventory``, as Flux writes it (fluxcd/cli-utils, object.ObjMetadata). Pure."""

from __future__ import annotations

from gitsync.api.identity import Manifest, ObjectKey, shared


def inventory_id(key: ObjectKey) -> str:
    """``namespace_name_group_kind``. A colon, which names of RBAC objects may have, is written ``__``."""
    return f"{key.namespace}_{key.name.replace(':', '__')}_{key.group}_{key.kind}"


def parse_inventory_id(text: str) -> ObjectKey | None:
    """The object that an inventory id names; None when it is none."""
    namespace, _, rest = text.partition("_")
    name, _, tail = rest.rpartition("_")
    name, _, group = name.rpartition("_")
    if not (name and tail):
        return None
    return ObjectKey(shared(group), shared(tail), shared(namespace), name.replace("__", ":"))


def inventory_keys(manifest: Manifest) -> list[ObjectKey]:
    """The objects that a HelmRelease says in its status that it has; of one that is no text of ours nothing."""
    entries = ((manifest.get("status") or {}).get("inventory") or {}).get("entries") or ()
    found = (parse_inventory_id(str(entry.get("id", ""))) for entry in entries)
    return [key for key in found if key is not None]
