"""What happens to an object next."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import ObjectKey
from gitsync.live.known import Known
from gitsync.live.upcoming import upcoming
from gitsync.live.why import why

RELEASE = "helm.toolkit.fluxcd.io", "HelmRelease"


def release(
    name: str, ready: str = "True", reason: str = "UpgradeSucceeded", *needs: str, **more: Any
) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "reason": reason, "message": "", "observedGeneration": 1}
    conditions = [condition, *({"type": kind, "status": "True", "reason": reason} for kind in more.pop("also", ()))]
    chart = {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}
    spec = {"interval": "5m", "chart": chart, "dependsOn": [{"name": need} for need in needs], **more}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": "default", "generation": 1},
        "spec": spec,
        "status": {"observedGeneration": 1, "conditions": conditions},
    }


WAITS = ("False", "DependencyNotReady")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (release("app"), "It is looked at again every 5m, and at once when a commit or its source changes."),
        (release("app", suspend=True), "Nothing happens to it until it is resumed."),
        (release("app", "Unknown", "Progressing", also=["Reconciling"]), "The agent is at work on it now."),
        (release("app", *WAITS, "db"), "It goes on as soon as HelmRelease/default/db is ready."),
        (
            release("app", *WAITS, "db", "mq"),
            "It goes on as soon as HelmRelease/default/db and 1 more object are ready.",
        ),
        (release("app", *WAITS, "loop"), "Nothing happens to it until a commit ends the cycle."),
        (
            release("app", "False", "UpgradeFailed"),
            "It is tried again within 5m, and at once when a commit or its source changes.",
        ),
        (
            release("app", "False", "UpgradeFailed", also=["Stalled"]),
            "Nothing more is tried until its spec, its values or its source change; or at once, when it is asked for: "
            "gitsync reconcile helmrelease app -n default --reset.",
        ),
    ],
)
def test_what_happens_next(found: dict[str, Any], words: str) -> None:
    known = Known()
    others = [release(name, "False", "InstallFailed") for name in ("db", "mq")]
    for item in (found, *others, release("loop", *WAITS, "app")):
        known.update(ObjectKey.of(item), item)
    key = ObjectKey(*RELEASE, "default", "app")
    standing = known.standing(key)
    assert standing is not None
    assert upcoming(key, found, standing, why(key, known)) == words


def test_a_kustomization_that_failed_is_tried_again_at_its_own_interval() -> None:
    found = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "default", "generation": 1},
        "spec": {
            "interval": "10m",
            "retryInterval": "30s",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "fleet"},
        },
        "status": {
            "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "False", "reason": "BuildFailed", "observedGeneration": 1}],
        },
    }
    known, key = Known(), ObjectKey.of(found)
    known.update(key, found)
    standing = known.standing(key)
    assert standing is not None
    assert "within 30s" in upcoming(key, found, standing, why(key, known))
