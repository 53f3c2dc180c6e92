"""``config/monitoring``, as Prometheus' own promtool and kustomize read it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gitsync.metering import Meter
from gitsync.web.metrics import Metrics
from tests.controlplane.binaries import PROMTOOL, ensure, kubectl
from tests.web.metrics import DOCS, release
from tests.yamls import documents

MONITORING = Path(__file__).parents[2] / "config" / "monitoring"
RULES: dict[str, Any] = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())["spec"]
ALERTS = [rule["alert"] for group in RULES["groups"] for rule in group["rules"]]
NOT_READY = 'gotk_resource_info{{customresource_kind="HelmRelease",exported_namespace="apps",name="demo",ready="{}"{}}}'

#: By alert: what is scraped each minute, when it fires, and when it does not.
CASES: dict[str, list[tuple[dict[str, str], str, bool]]] = {
    "GitsyncAbsent": [
        ({"up": "1x20"}, "6m", True),
        ({'gitsync_build_info{version="1"}': "1x20"}, "6m", False),
    ],
    "GitsyncObjectNotReady": [
        ({NOT_READY.format("False", ',suspended="false"'): "1x30"}, "16m", True),
        ({NOT_READY.format("False", ',suspended="false"'): "1x30"}, "10m", False),
        ({NOT_READY.format("False", ',suspended="true"'): "1x30"}, "16m", False),
        ({NOT_READY.format("True", ',suspended="false"'): "1x30"}, "16m", False),
    ],
    "GitsyncRepositoryUnreachable": [
        ({'gitsync_repository_polls_total{result="failed"}': "0+1x30"}, "15m", True),
        (
            {
                'gitsync_repository_polls_total{result="failed"}': "0+1x30",
                'gitsync_repository_polls_total{result="unchanged"}': "0+1x30",
            },
            "15m",
            False,
        ),
    ],
    "GitsyncDefect": [
        ({'controller_runtime_reconcile_total{controller="helmrelease",result="error"}': "0x5 1x20"}, "10m", True),
        ({'controller_runtime_reconcile_total{controller="helmrelease",result="success"}': "0+9x20"}, "10m", False),
    ],
    "GitsyncLoopSlow": [
        (
            {
                'gitsync_event_loop_lag_seconds_bucket{le="1.0"}': "0+90x60",
                'gitsync_event_loop_lag_seconds_bucket{le="5.0"}': "0+120x60",
                'gitsync_event_loop_lag_seconds_bucket{le="+Inf"}': "0+120x60",
            },
            "30m",
            True,
        ),
        (
            {
                'gitsync_event_loop_lag_seconds_bucket{le="1.0"}': "0+120x60",
                'gitsync_event_loop_lag_seconds_bucket{le="+Inf"}': "0+120x60",
            },
            "30m",
            False,
        ),
    ],
    "GitsyncApiServerFailing": [
        (
            {
                'rest_client_requests_total{code="503"}': "0+20x60",
                'rest_client_requests_total{code="200"}': "0+80x60",
            },
            "20m",
            True,
        ),
        (
            {
                'rest_client_requests_total{code="<error>"}': "0+5x60",
                'rest_client_requests_total{code="200"}': "0+95x60",
            },
            "20m",
            False,
        ),
    ],
    "GitsyncDriftComesBack": [
        ({'gitsync_drift_objects_total{result="corrected"}': "0+1x90"}, "80m", True),
        ({'gitsync_drift_objects_total{result="left"}': "0+1x90"}, "80m", False),
    ],
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(RULES))
    return path


def promtool(*arguments: str | Path, stdin: str | None = None, cwd: Path | None = None) -> str:
    command = [str(ensure(PROMTOOL)), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, cwd=cwd, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_well_formed(rules: Path) -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", rules)


def test_each_alert_is_tried_and_explained() -> None:
    assert list(CASES) == ALERTS
    assert re.findall(r"^\| `(Gitsync\w+)` \|", (DOCS / "metrics.md").read_text(), re.M) == ALERTS


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_must_and_not_otherwise(alert: str, rules: Path, tmp_path: Path) -> None:
    for number, (series, moment, fires) in enumerate(CASES[alert]):
        query = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
        case = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f"count({query}) or vector(0)",
                    "eval_time": moment,
                    "exp_samples": [{"labels": "{}", "value": int(fires)}],
                }
            ],
        }
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump({"rule_files": [rules.name], "tests": [case]}))
        promtool("test", "rules", path.name, cwd=tmp_path)


async def test_prometheus_finds_nothing_to_say_of_what_is_served() -> None:
    metrics = Metrics(Meter())
    metrics.objects = release
    text = (await metrics.text()).decode()
    promtool("check", "metrics", stdin=text)


async def test_dashboard_and_rules_ask_for_metrics_that_there_are() -> None:
    metrics = Metrics(Meter())
    metrics.objects = release
    families = list(text_string_to_metric_families((await metrics.text()).decode()))
    known = {family.name for family in families} | {f"{family.name}_total" for family in families}
    known |= {f"{family.name}_bucket" for family in families if family.type == "histogram"}
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    prefixes = "gotk|gitsync|controller_runtime|workqueue|rest_client|process"
    wanted = {name for expression in asked for name in re.findall(rf"\b(?:{prefixes})_\w+", expression)}
    assert len(wanted) > 10
    assert not wanted - known


def test_all_of_it_is_applied_by_one_command() -> None:
    built = subprocess.run([kubectl(), "kustomize", MONITORING], capture_output=True, text=True, check=True)
    kinds = {item["kind"] for item in documents(built.stdout)}
    assert kinds == {"PodMonitor", "PrometheusRule", "ConfigMap"}
