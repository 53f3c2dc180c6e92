"""What happens to an object next, and when, as far as that can be told. Pure."""

from __future__ import annotations

from gitsync.api.conditions import condition_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization, is_own_kind, is_release
from gitsync.api.names import STALLED, TRUE
from gitsync.live.standing import Standing
from gitsync.live.why import Why
from gitsync.text import counted

_NOTHING_MORE = "Nothing more is tried until its spec, its values or its source change"
_RESET = "; or at once, when it is asked for: gitsync reconcile helmrelease {name} -n {namespace} --reset"


def upcoming(key: ObjectKey, manifest: Manifest, standing: Standing, chain: Why) -> str:
    """In a sentence; "" for what no agent takes care of."""
    if not is_own_kind(key):
        return ""
    if standing.status == "suspended":
        return "Nothing happens to it until it is resumed."
    if chain.cycle is not None:
        return "Nothing happens to it until a commit ends the cycle."
    if standing.is_acting:
        return "The agent is at work on it now."
    if standing.status == "waiting" and len(chain.links) > 1:
        others = chain.links[1].others
        more = f" and {counted(others, 'more object')} are" if others else " is"
        return f"It goes on as soon as {chain.links[1].key}{more} ready."
    if condition_of(manifest, STALLED).get("status") == TRUE:
        return _NOTHING_MORE + (_RESET.format(name=key.name, namespace=key.namespace) if is_release(key) else "") + "."
    return _looked_at_again(key, manifest, standing)


def _looked_at_again(key: ObjectKey, manifest: Manifest, standing: Standing) -> str:
    spec = manifest.get("spec") or {}
    interval = spec.get("interval")
    if standing.status == "failed" and is_kustomization(key):
        interval = spec.get("retryInterval") or interval
    if not isinstance(interval, str) or not interval:
        return ""
    if standing.status == "ready":
        return f"It is looked at again every {interval}, and at once when a commit or its source changes."
    return f"It is tried again within {interval}, and at once when a commit or its source changes."
