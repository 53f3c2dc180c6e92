"""The charts of tests/data/charts, each with the values with which its rendering is compared with Helm's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "charts"
SAMPLES = Path(__file__).parents[2] / "sample-repo" / "charts"

#: Name of the case -> (folder of the chart, values).
CASES: Mapping[str, tuple[Path, Mapping[str, Any]]] = {
    "plain": (DATA / "plain", {}),
    "plain-values": (
        DATA / "plain",
        {"large": 12345678901, "list": ["x"], "nested": {"removed": None, "added": True}, "text": None, "unset": "set"},
    ),
    "subcharts": (DATA / "subcharts", {}),
    "subcharts-all": (
        DATA / "subcharts",
        {"sessions": {"enabled": True}, "tags": {"batch": True}, "global": {"environment": "all", "new": {"a": 1}}},
    ),
    "subcharts-none": (DATA / "subcharts", {"cache": {"enabled": False}, "metricsPath": "/own"}),
    "old": (DATA / "old", {}),
    "old-disabled": (DATA / "old", {"inner": {"enabled": False}}),
    "library": (DATA / "library", {}),
    "crds": (DATA / "crds", {}),
    "lookup": (DATA / "lookup", {"other": "kube-root-ca.crt"}),
    "capabilities": (DATA / "capabilities", {}),
    "schema": (DATA / "schema", {"replicas": 2, "mode": "safe"}),
    "keep": (DATA / "keep", {}),
    "hooks": (DATA / "hooks", {}),
    "workloads": (DATA / "workloads", {}),
    "redis": (SAMPLES / "redis", {"architecture": "standalone", "auth": {"enabled": False}}),
    "redis-replication": (SAMPLES / "redis", {"architecture": "replication", "auth": {"password": "given"}}),
    "podinfo": (SAMPLES / "podinfo", {"cache": "tcp://redis-master:6379"}),
}
