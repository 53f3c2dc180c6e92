from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from gitsync.api import HelmRelease, ObjectKey
from gitsync.api.parts.actions import HelmTest
from gitsync.api.status import Artifact, HelmReleaseStatus, HelmRepositoryStatus
from gitsync.errors import FieldErrors
from tests.cost import costs_below

CHART = {"spec": {"chart": "podinfo", "version": "6.2.2", "sourceRef": {"kind": "HelmRepository", "name": "backend"}}}


def manifest(name: str = "backend", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": "5m", "chart": CHART, **spec},
    }


def release(name: str = "backend", namespace: str = "default", **spec: Any) -> HelmRelease:
    return HelmRelease.parse(manifest(name, namespace, **spec))


def helm_release_key(namespace: str, name: str) -> ObjectKey:
    return ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", namespace, name)


def test_the_articles_backend_is_read() -> None:
    raw = manifest(dependsOn=[{"name": "redis"}], values={"cache": "tcp://redis-master:6379"})
    raw["apiVersion"] = "helm.toolkit.fluxcd.io/v2beta1"
    parsed = HelmRelease.parse(raw)
    assert parsed.key == helm_release_key("default", "backend")
    assert parsed.manifest is raw
    assert parsed.spec.interval == 300
    assert parsed.spec.values == {"cache": "tcp://redis-master:6379"}
    assert parsed.spec.chart is not None
    assert parsed.spec.chart.spec.version == "6.2.2"
    assert parsed.source == ObjectKey("source.toolkit.fluxcd.io", "HelmRepository", "default", "backend")


def test_defaults_are_fluxs() -> None:
    spec = release().spec
    assert (spec.timeout, spec.max_history, spec.suspend, spec.persistent_client) == (300, 5, False, True)
    assert (spec.install.crd_policy(), spec.upgrade.crd_policy()) == ("Create", "Create")
    assert (spec.install.server_side_apply, spec.upgrade.server_side_apply) == (True, "auto")
    assert spec.upgrade.remediation.strategy == "rollback"
    assert spec.install.remediation.strategy == "uninstall"
    assert spec.uninstall.deletion_propagation == "background"
    assert spec.drift_detection.mode == "disabled"
    assert spec.wait_strategy.name == "poller"
    assert not spec.install.strategy.retries_forever
    assert not spec.test.enable


def test_every_field_of_the_api_is_read() -> None:
    spec = release(
        chart={
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {
                "chart": "./charts/app",
                "sourceRef": {"apiVersion": "x/v1", "kind": "GitRepository", "name": "fleet", "namespace": "flux"},
                "interval": "1m",
                "reconcileStrategy": "Revision",
                "valuesFiles": ["a.yaml", "b.yaml"],
                "valuesFile": "old.yaml",
                "ignoreMissingValuesFiles": True,
                "verify": {"provider": "notation", "secretRef": {"name": "keys"}},
            },
        },
        timeout="10m",
        suspend=True,
        serviceAccountName="deployer",
        kubeConfig={"secretRef": {"name": "remote", "key": "config"}},
        persistentClient=False,
        install={
            "timeout": "1m",
            "strategy": {"name": "RetryOnFailure", "retryInterval": "30s"},
            "remediation": {"retries": -1, "ignoreTestFailures": True, "remediateLastFailure": True},
            "crds": "CreateReplace",
            "skipCRDs": True,
            "replace": True,
            "createNamespace": True,
            "disableHooks": True,
            "disableOpenAPIValidation": True,
            "disableSchemaValidation": True,
            "disableTakeOwnership": True,
            "disableWait": True,
            "disableWaitForJobs": True,
            "serverSideApply": False,
        },
        upgrade={
            "cleanupOnFail": True,
            "force": True,
            "preserveValues": True,
            "serverSideApply": "disabled",
            "disableOpenAPIValidation": True,
        },
        rollback={"recreate": True, "serverSideApply": "enabled", "disableWaitForJobs": True},
        uninstall={"keepHistory": True, "deletionPropagation": "orphan", "disableWait": True},
        test={"enable": True, "ignoreFailures": True, "filters": [{"name": "smoke", "exclude": True}]},
        driftDetection={
            "mode": "warn",
            "ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment", "labelSelector": "a=b"}}],
        },
        valuesFrom=[
            {"kind": "Secret", "name": "s", "valuesKey": "k", "targetPath": "a.b[0]", "literal": True, "optional": True}
        ],
        postRenderers=[
            {
                "kustomize": {
                    "patches": [{"patch": "- op: remove", "target": {"kind": "Service"}}],
                    "patchesStrategicMerge": [{"kind": "Service"}],
                    "patchesJson6902": [
                        {"target": {"kind": "X"}, "patch": [{"op": "move", "from": "/a", "path": "/b", "value": None}]}
                    ],
                    "images": [{"name": "a", "newName": "b", "newTag": "c", "digest": "sha256:d"}],
                }
            }
        ],
        commonMetadata={"labels": {"team": "a"}, "annotations": {"x": "y"}},
        waitStrategy={"name": "legacy"},
        healthCheckExprs=[{"apiVersion": "a/v1", "kind": "B", "inProgress": "p", "failed": "f", "current": "c"}],
    ).spec
    assert spec.chart is not None
    assert spec.chart.spec.all_values_files() == ("old.yaml", "a.yaml", "b.yaml")
    assert spec.chart.spec.interval == 60
    assert spec.install.strategy.retries_forever
    assert spec.install.strategy.retry_interval == 30
    assert spec.install.remediation.remediates_last_failure()
    assert spec.install.disable_openapi_validation
    assert spec.install.disable_schema_validation
    assert spec.install.crd_policy() == "CreateReplace"
    assert spec.kube_config is not None
    assert spec.kube_config.secret_ref is not None
    assert spec.kube_config.secret_ref.key == "config"
    assert spec.values_from[0].literal
    assert spec.values_from[0].target_path == "a.b[0]"
    kustomize = spec.post_renderers[0].kustomize
    assert kustomize is not None
    assert kustomize.patches_json6902[0].patch[0].from_ == "/a"
    assert kustomize.images[0].new_tag == "c"
    assert spec.drift_detection.ignore[0].target is not None
    assert spec.drift_detection.ignore[0].target.label_selector == "a=b"
    assert spec.health_check_exprs[0].in_progress == "p"
    assert spec.test.filters[0].exclude
    assert spec.common_metadata is not None
    assert spec.common_metadata.labels == {"team": "a"}


def test_a_field_set_to_null_counts_as_unset() -> None:
    spec = release(values=None, dependsOn=None, test=None, suspend=None, install={"crds": None, "timeout": None}).spec
    assert spec == release().spec


def test_null_inside_values_is_kept() -> None:
    assert release(values={"a": None}, suspend=None).spec.values == {"a": None}


def test_unknown_fields_are_passed_over() -> None:
    assert release(ofTheFuture=1).spec == release().spec


def test_a_release_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        release().spec.suspend = True  # type: ignore[misc]


def test_every_field_at_fault_is_named() -> None:
    with pytest.raises(FieldErrors) as caught:
        release(interval="5 min", maxHistory="3", chart={"spec": {"chart": "x", "version": 17.3}})
    assert caught.value.key == helm_release_key("default", "backend")
    assert {error.path for error in caught.value.errors} == {
        ("spec", "interval"),
        ("spec", "maxHistory"),
        ("spec", "chart", "spec", "version"),
        ("spec", "chart", "spec", "sourceRef"),
    }
    assert str(caught.value).startswith("HelmRelease/default/backend: spec.")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"chart": None}, "needs chart or chartRef"),
        ({"chartRef": {"kind": "OCIRepository", "name": "x"}}, "has both chart and chartRef; keep one of them"),
    ],
)
def test_a_release_has_one_chart(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldErrors, match=message):
        release(**spec)


def test_another_kind_is_refused() -> None:
    with pytest.raises(FieldErrors, match="kind: must be HelmRelease"):
        HelmRelease.parse({**manifest(), "kind": "ConfigMap"})


@pytest.mark.parametrize("rubbish", [{}, {"kind": 5, "metadata": 7, "spec": None}, {"metadata": None}])
def test_rubbish_is_an_error_and_no_crash(rubbish: dict[str, Any]) -> None:
    with pytest.raises(FieldErrors):
        HelmRelease.parse(rubbish)


def test_dependencies_are_found_in_both_spellings() -> None:
    found = release(
        namespace="apps",
        dependsOn=[
            {"name": "redis"},
            {"name": "prometheus", "namespace": "monitoring"},
            {"name": "monitoring/grafana"},
            {"name": "db/postgres", "namespace": "db", "readyExpr": "dep.status.ok"},
        ],
    )
    assert found.dependencies() == (
        (helm_release_key("apps", "redis"), ("spec", "dependsOn", 0)),
        (helm_release_key("monitoring", "prometheus"), ("spec", "dependsOn", 1)),
        (helm_release_key("monitoring", "grafana"), ("spec", "dependsOn", 2)),
        (helm_release_key("db", "postgres"), ("spec", "dependsOn", 3)),
    )
    assert found.spec.depends_on[3].ready_expr == "dep.status.ok"


def test_the_source_may_be_in_another_namespace() -> None:
    reference = {"kind": "HelmRepository", "name": "bitnami", "namespace": "flux-system"}
    assert release(chart={"spec": {"chart": "redis", "sourceRef": reference}}).source.namespace == "flux-system"


def test_a_chart_reference_is_the_source() -> None:
    found = release(chart=None, chartRef={"kind": "OCIRepository", "name": "podinfo"})
    assert found.source == ObjectKey("source.toolkit.fluxcd.io", "OCIRepository", "default", "podinfo")


def test_values_sources_are_in_the_releases_namespace() -> None:
    found = release(valuesFrom=[{"kind": "ConfigMap", "name": "a"}, {"kind": "Secret", "name": "b"}])
    assert found.value_sources() == (
        ObjectKey("", "ConfigMap", "default", "a"),
        ObjectKey("", "Secret", "default", "b"),
    )
    assert found.spec.values_from[0].values_key == "values.yaml"


def test_release_names_and_namespaces() -> None:
    assert release().release_name == "backend"
    assert release(targetNamespace="prod").release_name == "prod-backend"
    assert release(targetNamespace="prod", releaseName="web").release_name == "web"
    found = release(targetNamespace="prod", storageNamespace="records")
    assert (found.release_namespace, found.storage_namespace) == ("prod", "records")
    assert (release().release_namespace, release().storage_namespace) == ("default", "default")


def test_a_composed_name_too_long_for_helm_is_shortened_with_its_checksum() -> None:
    exactly = release(name="n" * 48, targetNamespace="prod").release_name
    assert exactly == "prod-" + "n" * 48
    composed = "prod-" + "n" * 49
    shortened = release(name="n" * 49, targetNamespace="prod").release_name
    assert shortened == composed[:40] + "-" + hashlib.sha256(composed.encode()).hexdigest()[:12]
    assert len(shortened) == 53


def test_an_actions_timeout_is_its_own_else_the_releases_else_five_minutes() -> None:
    assert release().spec.timeout_of("install") == 300
    spec = release(timeout="10m", upgrade={"timeout": "90s"}, test={"timeout": "0s"}).spec
    assert spec.timeout_of("upgrade") == 90
    assert spec.timeout_of("rollback") == 600
    assert spec.timeout_of("test") == 0


@pytest.mark.parametrize(
    ("retries", "failures", "exhausted"), [(0, 0, False), (0, 1, True), (3, 3, False), (3, 4, True), (-1, 99, False)]
)
def test_retries_are_exhausted_after_one_failure_more(retries: int, failures: int, exhausted: bool) -> None:
    assert (
        release(install={"remediation": {"retries": retries}}).spec.install.remediation.exhausted(failures) is exhausted
    )


@pytest.mark.parametrize(
    ("remediation", "install", "upgrade"),
    [
        ({}, False, False),
        ({"retries": 2}, False, True),
        ({"retries": 2, "remediateLastFailure": False}, False, False),
        ({"remediateLastFailure": True}, True, True),
    ],
)
def test_the_last_failure_of_an_upgrade_is_remediated_once_there_are_retries(
    remediation: dict[str, Any], install: bool, upgrade: bool
) -> None:
    spec = release(install={"remediation": remediation}, upgrade={"remediation": remediation}).spec
    assert spec.install.remediation.remediates_last_failure() is install
    assert spec.upgrade.remediation.remediates_last_failure() is upgrade


def test_ignoring_failed_tests_is_settled_by_the_action_before_the_test() -> None:
    lenient = HelmTest.model_validate({"ignoreFailures": True})
    spec = release(install={"remediation": {"ignoreTestFailures": False}}).spec
    assert not spec.install.remediation.ignores_test_failures(lenient)
    assert spec.upgrade.remediation.ignores_test_failures(lenient)
    assert not spec.upgrade.remediation.ignores_test_failures(HelmTest())


def test_the_deprecated_skip_of_crds_counts_until_a_policy_is_set() -> None:
    assert release(install={"skipCRDs": True}).spec.install.crd_policy() == "Skip"
    assert release(install={"skipCRDs": True, "crds": "Create"}).spec.install.crd_policy() == "Create"


def test_the_status_is_typed_and_may_be_missing() -> None:
    assert release().status.history == ()
    raw = manifest()
    raw["status"] = {
        "observedGeneration": -1,
        "lastHandledCommit": "3f2a91c",
        "inventory": {"entries": [{"id": "default_redis_apps_Deployment", "v": "v1"}]},
        "history": [
            {
                "name": "backend",
                "namespace": "default",
                "version": 2,
                "status": "deployed",
                "digest": "sha256:a",
                "configDigest": "sha256:b",
                "chartName": "podinfo",
                "chartVersion": "6.2.2",
                "firstDeployed": "2026-01-01T00:00:00Z",
                "lastDeployed": "2026-01-01T00:00:00Z",
                "testHooks": {"smoke": {"phase": "Succeeded"}},
            }
        ],
    }
    status = HelmRelease.parse(raw).status
    assert status.last_handled_commit == "3f2a91c"
    assert status.history[0].version == 2
    assert status.history[0].test_hooks is not None
    assert status.history[0].test_hooks["smoke"].phase == "Succeeded"
    assert status.inventory is not None
    assert status.inventory.entries[0].id == "default_redis_apps_Deployment"


def test_a_field_of_the_status_that_cannot_be_read_is_taken_for_unset_and_the_others_stay() -> None:
    broken = HelmRelease.parse({**manifest(), "status": {"history": "none", "failures": 2, "new": True}})
    assert (broken.status.history, broken.status.failures) == ((), 2)
    assert HelmRelease.parse({**manifest(), "status": "ready"}).status == HelmReleaseStatus()


def test_a_status_patches_what_differs_and_nothing_else() -> None:
    old = HelmReleaseStatus.read({"failures": 2, "installFailures": 2, "lastAppliedRevision": "1.0.0"})
    assert old.patch_from(old) == {}
    new = old.model_copy(update={"failures": 0, "install_failures": 3})
    assert new.patch_from(old) == {"failures": None, "installFailures": 3}


def test_of_a_part_that_is_replaced_nothing_is_left_behind() -> None:
    theirs = {"artifact": {"revision": "a", "digest": "sha256:a", "size": 7, "metadata": {"from": "flux"}}}
    old = HelmRepositoryStatus.read(theirs)
    new = old.model_copy(update={"artifact": Artifact(revision="b", digest="sha256:b")})
    assert new.patch_from(old) == {
        "artifact": {"revision": "b", "digest": "sha256:b", "size": None, "metadata": None},
    }


def test_reading_a_release_is_quick() -> None:
    """A restart reads every release; 0.2 ms each keeps 2,000 of them below half a second."""
    raw = manifest(dependsOn=[{"name": "redis"}], values={"a": 1}, install={"remediation": {"retries": 3}})
    HelmRelease.parse(raw)
    costs_below(100 * 0.0002, lambda: [HelmRelease.parse(raw) for _ in range(100)])
