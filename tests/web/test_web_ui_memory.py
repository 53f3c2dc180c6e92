"""What the page keeps in memory of a fleet of 2,000 releases, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

#: Megabytes, for what is known of the releases and for what is worked out of it.
MOST = 25.0
PROGRAM = """
import gc, orjson
from pathlib import Path
from gitsync.api.identity import ObjectKey
from gitsync.live.known import Known
from gitsync.web.ui import Page, drawing, layout, views
from gitsync.web.ui.trim import trimmed

COMMIT, DIGEST = "3f2a91c0d1b2e3f405162738495a6b7c8d9e0f10", "sha256:" + "a" * 64

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

def release(number):
    name, namespace, at = f"app-{number}", f"team-{number % 40}", "2026-01-02T03:04:05Z"
    said = f"Helm install succeeded for release {namespace}/{name}.v1 with chart app@1.0.0"
    ready = {"status": "True", "reason": "InstallSucceeded", "message": said, "lastTransitionTime": at}
    marks = {"commit": COMMIT, "commit-author": "Ann", "commit-subject": f"change {number // 50}", "owner": "b" * 40}
    marks["origin"] = f"fleet/{namespace}/{name}.yaml:1:1"
    past = {"version": 1, "chartName": "app", "chartVersion": "1.0.0", "digest": DIGEST, "configDigest": DIGEST}
    ids = (f"{namespace}_{name}_apps_Deployment", f"{namespace}_{name}__ConfigMap", f"{namespace}_{name}__Service")
    source = {"kind": "HelmRepository", "name": "charts", "namespace": namespace}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {
            "name": name, "namespace": namespace, "uid": f"3f2a91c0-d1b2-4e3f-8051-{number:012}", "generation": 1,
            "resourceVersion": str(10000 + number), "creationTimestamp": at, "finalizers": ["finalizers.fluxcd.io"],
            "labels": {"gitsync.dev/sync": "gitsync", "gitsync.dev/sync-namespace": "gitsync-system"},
            "annotations": {f"gitsync.dev/{name}": value for name, value in marks.items()},
        },
        "spec": {
            "interval": "5m",
            "chart": {"spec": {"chart": "app", "version": "1.0.0", "sourceRef": source}},
            "dependsOn": [{"name": f"app-{number - 40}"}] if number >= 40 else [],
            "values": {"text": "x" * 300},
        },
        "status": {
            "observedGeneration": 1, "lastHandledCommit": COMMIT, "lastAttemptedConfigDigest": DIGEST,
            "helmChart": f"{namespace}/{namespace}-{name}", "storageNamespace": namespace,
            "conditions": [{"type": kind, "observedGeneration": 1, **ready} for kind in ("Ready", "Released")],
            "history": [past] * 3,
            "inventory": {"entries": [{"id": item, "v": "v1"} for item in ids]},
        },
    }

gc.collect()
before, known = resident(), Known()
for number in range(2000):
    manifest = trimmed(orjson.loads(orjson.dumps(release(number))))
    known.update(ObjectKey.of(manifest), manifest)
views.causes(known)
drawn = layout.laid_out(*drawing.of_known(known))
gc.collect()
assert drawn.of == 2000 and len(known.dependencies(known.keys(bool)[-1])) == 1
print(resident() - before)
"""


def test_two_thousand_releases_take_little_memory() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=120)
    assert told.returncode == 0, told.stderr
    assert float(told.stdout) < MOST
