"""``gitsync create``, ``export`` and ``delete`` on a real API server where no agent runs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitsync.api.checking.check import check
from gitsync.cli.cluster.export import bare
from tests.cli.conftest import Gitsync
from tests.controlplane.cluster import Cluster

BACKEND = ("create", "helmrelease", "backend", "--source", "HelmRepository/podinfo", "--chart", "podinfo")


def test_a_source_is_printed_for_a_repository_and_no_cluster_is_asked(gitsync: Gitsync) -> None:
    said = gitsync(
        *("create", "source", "helm", "bitnami", "--url", "https://charts.example/bitnami", "--interval", "10m"),
        *("--namespace", "flux-system", "--secret-ref", "login", "--export", "--context", "nosuch"),
    )
    assert (said.code, said.err) == (0, "")
    assert (
        said.out
        == """\
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata:
  name: bitnami
  namespace: flux-system
spec:
  interval: "10m"
  secretRef:
    name: login
  url: https://charts.example/bitnami
"""
    )


def test_a_git_repository_is_printed_with_all_that_the_flags_say(gitsync: Gitsync) -> None:
    said = gitsync(
        *("create", "source", "git", "app", "--url", "https://git.example/app", "--branch", "main", "--tag", "v1"),
        *("--tag-semver", "1.x", "--ref-name", "refs/pull/1/head", "--commit", "a" * 40, "--secret-ref", "login"),
        *("--proxy-secret-ref", "proxy", "--recurse-submodules", "--sparse-checkout-paths", "charts,env"),
        *("--ignore-paths", "/*,!/charts", "--export"),
    )
    assert (said.code, said.err) == (0, "")
    manifest = yaml.safe_load(said.out)
    assert check(manifest) == []
    assert manifest["spec"] == {
        "interval": "1m",
        "url": "https://git.example/app",
        "ref": {"branch": "main", "tag": "v1", "semver": "1.x", "name": "refs/pull/1/head", "commit": "a" * 40},
        "secretRef": {"name": "login"},
        "proxySecretRef": {"name": "proxy"},
        "recurseSubmodules": True,
        "sparseCheckout": ["charts", "env"],
        "ignore": "/*\n!/charts",
    }
    scp = gitsync("create", "source", "git", "app", "--url", "git@git.example:app", "--export")
    assert scp.code == 1
    assert "git@host:path is written ssh://git@host/path" in scp.err


def test_a_release_is_printed_with_all_that_the_flags_say(gitsync: Gitsync, tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("replicas: 1\nmode: 0644\nui: {color: red, message: hello}\n")
    second.write_text("ui: {color: blue}\n")
    said = gitsync(
        *("create", "helmrelease", "backend", "--source", "HelmRepository/podinfo.flux-system", "--chart", "podinfo"),
        *("--chart-version", ">=6", "--depends-on", "redis", "--depends-on", "monitoring/prometheus"),
        *("--values", str(first), "--values", str(second), "--values-from", "Secret/login", "--interval", "10m"),
        *("--release-name", "web", "--target-namespace", "apps", "--create-target-namespace", "--export"),
    )
    assert (said.code, said.err) == (0, "")
    manifest = yaml.safe_load(said.out)
    assert check(manifest) == []
    assert manifest["spec"] == {
        "interval": "10m",
        "chart": {
            "spec": {
                "chart": "podinfo",
                "version": ">=6",
                "sourceRef": {"kind": "HelmRepository", "name": "podinfo", "namespace": "flux-system"},
            }
        },
        "dependsOn": [{"name": "redis"}, {"name": "prometheus", "namespace": "monitoring"}],
        "releaseName": "web",
        "targetNamespace": "apps",
        "install": {"createNamespace": True},
        "valuesFrom": [{"kind": "Secret", "name": "login"}],
        "values": {"replicas": 1, "mode": 420, "ui": {"color": "blue", "message": "hello"}},
    }


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("--source", "podinfo", "--chart", "podinfo"), 2, "'podinfo' is not KIND/NAME"),
        (("--source", "HelmRepo/podinfo", "--chart", "podinfo"), 1, "did you mean HelmRepository?"),
        (("--source", "HelmRepository/podinfo"), 2, "a source and a chart are needed"),
        (("--source", "HelmRepository/podinfo", "--chart", "podinfo", "--interval", "5"), 1, "must be a duration"),
        (("--source", "HelmRepository/podinfo", "--chart", "podinfo", "--values", "/nosuch"), 2, "does not exist"),
    ],
)
def test_flags_that_cannot_be_right_are_refused(
    words: tuple[str, ...], code: int, complaint: str, gitsync: Gitsync
) -> None:
    said = gitsync("create", "helmrelease", "backend", "--export", *words)
    assert (said.code, said.out) == (code, "")
    assert complaint in said.err


def test_a_file_that_holds_no_values_is_named(gitsync: Gitsync, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("- a list\n")
    said = gitsync(*BACKEND, "--export", "--values", str(file))
    assert said.code == 1
    assert said.err.startswith(f"error: {file} holds no values")


def test_what_is_created_is_exported_as_it_was_written_and_deleted(
    gitsync: Gitsync, our_kinds: None, namespace: str, control_plane: Cluster
) -> None:
    written = gitsync(*BACKEND, "-n", namespace, "--depends-on", "redis", "--export").out
    made = gitsync(*BACKEND, "-n", namespace, "--depends-on", "redis", "--no-wait")
    assert (made.code, made.out) == (0, f"HelmRelease/{namespace}/backend is created\n"), made.err
    assert gitsync("export", "helmrelease", "backend", "-n", namespace).out == written
    assert gitsync(*BACKEND, "-n", namespace, "--interval", "1h", "--no-wait").out.endswith("is changed\n")
    changed = yaml.safe_load(gitsync("export", "hr", "--all", "-n", namespace).out)
    assert changed["spec"]["interval"] == "1h"
    assert "dependsOn" not in changed["spec"], "what is not said again is taken away"

    assert gitsync("suspend", "helmrelease", "backend", "-n", namespace).code == 0
    again = gitsync(*BACKEND, "-n", namespace)
    assert again.code == 0
    assert "is suspended: nothing comes of it until it is resumed" in again.err

    said = gitsync("delete", "helmrelease", "backend", "-n", namespace, "--silent")
    assert (said.code, said.out) == (0, f"HelmRelease/{namespace}/backend is deleted\n")
    said = gitsync("delete", "helmrelease", "backend", "-n", namespace, "--silent")
    assert said.code == 1
    assert "gitsync get all -A" in said.err


def test_a_login_becomes_a_secret_and_is_in_no_output(
    gitsync: Gitsync, our_kinds: None, namespace: str, control_plane: Cluster
) -> None:
    asked = ("create", "source", "helm", "private", "--url", "https://charts.example", "-n", namespace)
    login = ("-u", "ann", "-p", "secret-of-the-test")
    printed = gitsync(*asked, *login, "--export")
    assert yaml.safe_load(printed.out)["spec"]["secretRef"] == {"name": "private"}
    made = gitsync(*asked, *login, "--no-wait")
    assert made.code == 0, made.err
    assert "secret-of-the-test" not in printed.out + printed.err + made.out + made.err
    secret = control_plane.request("GET", f"/api/v1/namespaces/{namespace}/secrets/private")
    assert base64.b64decode(secret["data"]["password"]) == b"secret-of-the-test"
    assert gitsync(*asked, "-u", "ann").code == 2
    assert gitsync(*asked, *login, "--secret-ref", "other").code == 2


def test_lists_are_taken_with_commas_as_flux_takes_them(gitsync: Gitsync) -> None:
    more = ("--depends-on", "redis,monitoring/prometheus", "--crds", "CreateReplace", "--service-account", "deployer")
    spec = yaml.safe_load(gitsync(*BACKEND, *more, "--export").out)["spec"]
    assert spec["dependsOn"] == [{"name": "redis"}, {"name": "prometheus", "namespace": "monitoring"}]
    assert spec["install"] == spec["upgrade"] == {"crds": "CreateReplace"}
    assert spec["serviceAccountName"] == "deployer"


def test_when_no_agent_answers_that_is_said_at_the_deadline(gitsync: Gitsync, our_kinds: None, namespace: str) -> None:
    url = ("--url", "http://charts.example")
    said = gitsync("create", "source", "helm", "podinfo", *url, "-n", namespace, "--timeout", "500ms")
    assert said.code == 1
    assert "was not reconciled within 500ms: no answer\nhint: is an agent running?" in said.err
    said = gitsync("reconcile", "source", "helm", "podinfo", "-n", namespace, "--timeout", "500ms")
    assert "no answer" in said.err
    assert gitsync("export", "source", "helm", "podinfo", "-n", namespace).out.endswith(
        'spec:\n  interval: "1m"\n  url: http://charts.example\n'
    )


def test_what_is_exported_has_no_trace_of_server_and_agent() -> None:
    metadata: dict[str, Any] = {
        "name": "redis",
        "namespace": "default",
        "uid": "1",
        "resourceVersion": "2",
        "generation": 3,
        "creationTimestamp": "2026-11-23T06:00:00Z",
        "finalizers": ["finalizers.fluxcd.io", "example.org/own"],
        "labels": {"gitsync.dev/sync": "gitsync", "team": "a"},
        "annotations": {
            "gitsync.dev/commit": "3f2a91c",
            "gitsync.dev/origin": "redis.yaml:1:1",
            "gitsync.dev/owner": "abc",
            "reconcile.fluxcd.io/requestedAt": "now",
            "reconcile.fluxcd.io/forceAt": "now",
            "gitsync.dev/prune": "disabled",
        },
        "managedFields": [],
    }
    manifest = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": metadata}
    assert bare({**manifest, "spec": {"interval": "5m"}, "status": {"failures": 1}}) == {
        **manifest,
        "metadata": {
            "name": "redis",
            "namespace": "default",
            "finalizers": ["example.org/own"],
            "labels": {"team": "a"},
            "annotations": {"gitsync.dev/prune": "disabled"},
        },
        "spec": {"interval": "5m"},
    }


def test_a_kustomization_is_printed_with_all_that_the_flags_say(gitsync: Gitsync) -> None:
    said = gitsync(
        *("create", "kustomization", "apps", "--source", "GitRepository/fleet.flux-system", "--path", "./apps/prod"),
        *("--prune", "--depends-on", "infra", "--depends-on", "other/base", "--health-check", "Deployment/web.apps"),
        *("--health-check", "HelmRelease/db", "--health-check-timeout", "3m", "--interval", "10m"),
        *("--retry-interval", "2m", "--target-namespace", "apps", "--deletion-policy", "Orphan", "--export"),
        *("--namespace", "flux-system", "--context", "nosuch"),
    )
    assert (said.code, said.err) == (0, "")
    manifest = yaml.safe_load(said.out)
    assert check(manifest) == []
    assert (manifest["apiVersion"], manifest["metadata"]["namespace"]) == (
        "kustomize.toolkit.fluxcd.io/v1",
        "flux-system",
    )
    assert manifest["spec"] == {
        "interval": "10m",
        "retryInterval": "2m",
        "timeout": "3m",
        "dependsOn": [{"name": "infra"}, {"name": "base", "namespace": "other"}],
        "sourceRef": {"kind": "GitRepository", "name": "fleet", "namespace": "flux-system"},
        "path": "./apps/prod",
        "prune": True,
        "targetNamespace": "apps",
        "healthChecks": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": "apps"},
            {
                "apiVersion": "helm.toolkit.fluxcd.io/v2",
                "kind": "HelmRelease",
                "name": "db",
                "namespace": "flux-system",
            },
        ],
        "deletionPolicy": "Orphan",
    }
    short = gitsync("create", "ks", "apps", "--source", "GitRepository/fleet", "--wait", "--export")
    spec = yaml.safe_load(short.out)["spec"]
    assert (spec["wait"], spec["prune"], spec["path"]) == (True, False, "./")


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        ((), 2, "Missing option '--source'"),
        (("--source", "HelmRepository/fleet"), 1, "spec.sourceRef.kind"),
        (("--source", "GitRepository/fleet", "--health-check", "Widget/a"), 2, "Widget is none of Deployment"),
        (("--source", "GitRepository/fleet", "--wait", "--health-check", "Deployment/a"), 2, "either --wait"),
    ],
)
def test_flags_of_a_kustomization_that_cannot_be_right_are_refused(
    words: tuple[str, ...], code: int, complaint: str, gitsync: Gitsync
) -> None:
    said = gitsync("create", "kustomization", "apps", "--export", *words)
    assert (said.code, said.out) == (code, "")
    assert complaint in said.err


@pytest.mark.parametrize(
    ("words", "api_version", "kind", "spec"),
    [
        (
            ("provider", "--type", "slack", "--channel", "general", "--username", "bot", "--secret-ref", "webhook"),
            "v1beta3",
            "Provider",
            {"type": "slack", "channel": "general", "username": "bot", "secretRef": {"name": "webhook"}},
        ),
        (
            ("alert-provider", "--type", "github", "--address", "https://github.com/a/b"),
            "v1beta3",
            "Provider",
            {"type": "github", "address": "https://github.com/a/b"},
        ),
        (
            ("alert", "--provider-ref", "slack", "--event-source", "Kustomization/flux-system,HelmRelease/*.apps"),
            "v1beta3",
            "Alert",
            {
                "providerRef": {"name": "slack"},
                "eventSeverity": "info",
                "eventSources": [
                    {"kind": "Kustomization", "name": "flux-system"},
                    {"kind": "HelmRelease", "name": "*", "namespace": "apps"},
                ],
            },
        ),
        (
            (
                *("receiver", "--type", "github", "--event", "ping", "--event", "push", "--secret-ref", "token"),
                *("--resource", "GitRepository/webapp", "--resource", "HelmRepository/webapp.apps"),
            ),
            "v1",
            "Receiver",
            {
                "type": "github",
                "events": ["ping", "push"],
                "secretRef": {"name": "token"},
                "resources": [
                    {"kind": "GitRepository", "name": "webapp"},
                    {"kind": "HelmRepository", "name": "webapp", "namespace": "apps"},
                ],
            },
        ),
    ],
)
def test_who_is_notified_and_who_may_ask_is_printed_with_all_that_the_flags_say(
    words: tuple[str, ...], api_version: str, kind: str, spec: dict[str, Any], gitsync: Gitsync
) -> None:
    word, *flags = words
    said = gitsync("create", word, "it", "-n", "apps", "--export", *flags)
    assert (said.code, said.err) == (0, "")
    manifest = yaml.safe_load(said.out)
    assert check(manifest) == []
    assert manifest == {
        "apiVersion": f"notification.toolkit.fluxcd.io/{api_version}",
        "kind": kind,
        "metadata": {"name": "it", "namespace": "apps"},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("alert", "--provider-ref", "slack", "--event-source", "flux-system"), 2, "'flux-system' is not KIND/NAME"),
        (("provider", "--type", "pigeon"), 2, "'pigeon'"),
        (("receiver", "--type", "github", "--resource", "GitRepository/x"), 2, "--secret-ref"),
        (
            ("receiver", "--type", "generic-oidc", "--resource", "GitRepository/x", "--secret-ref", "x"),
            1,
            "generic-oidc receivers must define at least one oidcProvider",
        ),
    ],
)
def test_flags_of_those_that_cannot_be_right_are_refused(
    words: tuple[str, ...], code: int, complaint: str, gitsync: Gitsync
) -> None:
    word, *flags = words
    said = gitsync("create", word, "it", "--export", *flags)
    assert (said.code, said.out) == (code, "")
    assert complaint in said.err


def test_an_alert_about_a_kind_that_no_event_comes_of_is_made_with_a_warning(gitsync: Gitsync) -> None:
    sources = "HelmRelease/*,HelmRelase/redis,helmrelease/redis,FluxInstance/flux"
    said = gitsync("create", "alert", "it", "--export", "--provider-ref", "slack", "--event-source", sources)
    refused = "spec.eventSources[2].kind: must be the name of a kind"
    assert (said.code, refused in said.err) == (1, True)
    sources = sources.replace("helmrelease/redis,", "")
    said = gitsync("create", "alert", "it", "--export", "--provider-ref", "slack", "--event-source", sources)
    assert said.code == 0
    assert len(yaml.safe_load(said.out)["spec"]["eventSources"]) == 3
    assert said.err.splitlines() == [
        "warning: gitsync has no events about a HelmRelase: is HelmRelease meant?",
        "warning: gitsync has no events about a FluxInstance",
    ]


def test_what_has_no_status_is_suspended_and_resumed_without_waiting(
    gitsync: Gitsync, our_kinds: None, namespace: str
) -> None:
    """Of Providers and Alerts nobody ever says that they are ready."""
    made = gitsync("create", "alert-provider", "slack", "-n", namespace, "--type", "slack")
    assert (made.code, made.out) == (0, f"Provider/{namespace}/slack is created\n")
    made = gitsync("create", "alert", "it", "-n", namespace, "--provider-ref", "slack", "--event-source", "Bucket/*")
    assert (made.code, made.out) == (0, f"Alert/{namespace}/it is created\n")
    for kind, name in (("alert-provider", "slack"), ("alert", "it")):
        of_it = (kind, name, "-n", namespace)
        assert "is suspended" in gitsync("suspend", *of_it).out
        assert yaml.safe_load(gitsync("export", *of_it).out)["spec"]["suspend"] is True
        resumed = gitsync("resume", *of_it)
        assert (resumed.code, resumed.err) == (0, "")
        assert "is resumed" in resumed.out
        assert "suspend" not in yaml.safe_load(gitsync("export", *of_it).out)["spec"]
        assert "is deleted" in gitsync("delete", *of_it, "--silent").out


def test_a_receiver_that_nobody_serves_says_what_serves_it(gitsync: Gitsync, our_kinds: None, namespace: str) -> None:
    flags = ("--type", "github", "--resource", "Bucket/x", "--secret-ref", "token", "--timeout", "1s")
    said = gitsync("create", "receiver", "it", "-n", namespace, *flags)
    assert said.code == 1
    assert "no answer" in said.err
    assert "--webhook-port" in said.err
