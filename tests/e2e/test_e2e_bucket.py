"""Buckets of a real S3 server: what Kustomizations and releases make of them, and what one says that cannot be read."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import Any

import pytest

from tests.charts.certificates import Authority
from tests.controlplane.cluster import Cli
from tests.controlplane.s3 import KEYS, REGION, S3
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet, Line
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map
from tests.e2e.watching import Now, Watch, condition, is_ready
from tests.forked import run

SOURCE = {"kind": "Bucket", "name": "app"}
CHART = "apiVersion: v2\nname: app\nversion: 1.0.0\n"
TEMPLATE = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-text}\ndata: {text: {{ .Values.text }}}\n"
)


class Objects:
    """A bucket that is named as the namespace."""

    def __init__(self, s3: S3, namespace: str) -> None:
        self.s3, self.namespace = s3, namespace
        s3.make(namespace)

    def put(self, key: str, content: str) -> None:
        self.s3.put(self.namespace, key, content)

    def chart(self, text: str) -> None:
        self.put("charts/app/Chart.yaml", CHART)
        self.put("charts/app/templates/map.yaml", TEMPLATE)
        self.put("charts/app/values.yaml", f"text: {text}\n")

    def secrets(self, *, secretkey: str = KEYS.secret, ca: str = "") -> str:
        data = {"keys": {"accesskey": KEYS.access, "secretkey": secretkey}, "certs": {"ca.crt": ca or self.s3.ca}}
        metadata = {"namespace": self.namespace}
        manifests = (
            {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata, "name": name}, "stringData": content}
            for name, content in data.items()
        )
        return "\n---\n".join(map(json.dumps, manifests))

    def source(self, **spec: Any) -> str:
        fields = {
            "interval": "1h",
            "bucketName": self.namespace,
            "endpoint": self.s3.host,
            "region": REGION,
            "secretRef": {"name": "keys"},
            "certSecretRef": {"name": "certs"},
            **spec,
        }
        return json.dumps(
            {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": "Bucket",
                "metadata": {"name": "app", "namespace": self.namespace},
                "spec": {name: value for name, value in fields.items() if value is not None},
            }
        )

    def release(self) -> str:
        return json.dumps(
            {
                "apiVersion": "helm.toolkit.fluxcd.io/v2",
                "kind": "HelmRelease",
                "metadata": {"name": "app", "namespace": self.namespace},
                "spec": {"interval": "1h", "chart": {"spec": {"chart": "charts/app", "sourceRef": SOURCE}}},
            }
        )

    def status(self, kubectl: Cli) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(kubectl("get", "bucket", "app", "-n", self.namespace, "-o", "json"))
        status: dict[str, Any] = found["status"]
        return status


@pytest.fixture
def objects(s3: S3, namespace: str) -> Objects:
    return Objects(s3, namespace)


def complains(words: str, line: Line) -> bool:
    return line.msg == "bucket cannot be read" and words in str(line.fields["error"])


def text(kubectl: Cli, namespace: str) -> str:
    found = json.loads(kubectl("get", "configmap", "app-text", "-n", namespace, "-o", "json"))
    data: str = found["data"]["text"]
    return data


def test_a_kustomization_and_a_release_follow_what_is_in_a_bucket(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, objects: Objects, releases: Watch, namespace: str
) -> None:
    cluster = Cluster(kubectl, namespace)
    objects.put("deploy/one.yaml", config_map(namespace, "one"))
    objects.put("deploy/two.yaml", config_map(namespace, "two"))
    objects.put("other/bad.yaml", "no manifest at all: {")
    objects.chart("one")
    fleet.commit(
        {
            "clusters/secrets.yaml": objects.secrets(),
            "clusters/source.yaml": objects.source(interval="1s", ignore="other/\n"),
            "clusters/app.yaml": kustomization(namespace, "app", "./deploy", sourceRef=SOURCE),
            "clusters/release.yaml": objects.release(),
        },
        "out of a bucket",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("sync finished")
    cluster.wait("app")
    releases.until(lambda now: is_ready(now.get(f"{namespace}/app")), "app ready")
    assert set(cluster.maps()) == {"one", "two", "app-text"}
    assert text(kubectl, namespace) == "one"
    artifact = objects.status(kubectl)["artifact"]
    revision = artifact["revision"]
    assert cluster.status("app")["lastAppliedRevision"] == revision
    created = agent.wait_for("object created", object=f"ConfigMap/{namespace}/one")
    assert created.fields["commit"] == revision.removeprefix("sha256:")[:7]
    assert created.fields["origin"] == "deploy/one.yaml:1:1"
    columns = kubectl("get", "buckets.source.toolkit.fluxcd.io", "-n", namespace)
    assert "ENDPOINT" in columns
    assert f"stored artifact: revision '{revision}'" in columns
    assert f"{objects.s3.host}/{namespace}" in agent.command("get", "sources", "bucket", "-n", namespace, "-o", "wide")

    objects.chart("two")
    objects.s3.delete(namespace, "deploy/two.yaml")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/two")
    releases.until(lambda now: text(kubectl, namespace) == "two", "the release has the chart's new values")

    # A chart that is not there is said to be missing in the bucket; what runs keeps running.
    missing = objects.release().replace("charts/app", "charts/other")
    fleet.commit({"clusters/release.yaml": missing}, "another chart")
    said = f"there is no folder 'charts/other' in Bucket '{namespace}/app' at sha256:"
    releases.until(lambda now: said in str(condition(now.get(f"{namespace}/app") or {}, "Ready")), said)
    assert text(kubectl, namespace) == "two"
    fleet.commit({"clusters/release.yaml": objects.release()}, "the chart again")
    releases.until(lambda now: is_ready(now.get(f"{namespace}/app")), "app ready again")

    # In another life, with the server away, what was fetched is used.
    agent.kill()
    count = agent.count
    objects.s3.stop()
    try:
        agent.start()
        agent.wait_for("bucket cannot be read", after=count)
        kubectl("delete", "configmap", "one", "-n", namespace)
        agent.command("reconcile", "kustomization", "app", "-n", namespace)
        assert set(cluster.maps()) == {"one", "app-text"}
        assert is_ready(releases.get(f"{namespace}/app"))
    finally:
        objects.s3.start()
    assert KEYS.secret not in agent.log


def test_an_artifact_is_made_of_a_bucket(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, objects: Objects, namespace: str
) -> None:
    objects.put("deploy/one.yaml", config_map(namespace, "one"))
    copy = [{"from": "@all/deploy/**", "to": "@artifact/"}]
    generator = {
        "apiVersion": "source.extensions.fluxcd.io/v1beta1",
        "kind": "ArtifactGenerator",
        "metadata": {"name": "parts", "namespace": namespace},
        "spec": {"sources": [{"alias": "all", **SOURCE}], "artifacts": [{"name": "part", "copy": copy}]},
    }
    part = {"kind": "ExternalArtifact", "name": "part"}
    fleet.commit(
        {
            "clusters/secrets.yaml": objects.secrets(),
            "clusters/source.yaml": objects.source(interval="1s"),
            "clusters/parts.yaml": json.dumps(generator),
            "clusters/app.yaml": kustomization(namespace, "app", "./", sourceRef=part),
        },
        "made of a bucket",
    )
    agent = new_agent(fleet, "--path=clusters").start()
    agent.wait_for("sync finished")
    cluster = Cluster(kubectl, namespace)
    cluster.wait("app")
    assert set(cluster.maps()) == {"one"}
    objects.put("deploy/one.yaml", config_map(namespace, "one", "new"))
    agent.wait_for("object changed", object=f"ConfigMap/{namespace}/one")
    cluster.wait("app")
    assert cluster.maps() == {"one": "new"}


def test_commands_know_buckets(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, objects: Objects, releases: Watch, namespace: str
) -> None:
    objects.put("deploy/one.yaml", config_map(namespace, "one"))
    objects.chart("one")
    kubectl("apply", "-f", "-", stdin=objects.secrets())
    files = {
        "clusters/source.yaml": objects.source(),
        "clusters/app.yaml": kustomization(namespace, "app", "./deploy", sourceRef=SOURCE),
        "clusters/release.yaml": objects.release(),
    }
    fleet.commit(files, "out of a bucket")
    flags = (f"--repo={fleet.path}", "--path=clusters")
    agent = new_agent(fleet, "--path=clusters")
    code, planned, errors = agent.ended("plan", *flags, "-o", "json")
    assert (code, '"name": "app-text"' in planned, '"name": "one"' in planned) == (2, True, True), planned + errors
    code, said, errors = run(["validate", str(fleet.path / "clusters")], os.environ)
    assert code == 0, errors
    assert "warning: not checked: this repository needs a Secret of the cluster" in said
    agent.start().wait_for("sync finished")
    Cluster(kubectl, namespace).wait("app")
    releases.until(lambda now: is_ready(now.get(f"{namespace}/app")), "app ready")
    revision = objects.status(kubectl)["artifact"]["revision"]
    row = agent.command("get", "sources", "bucket", "-n", namespace).splitlines()[1].split()
    assert row[:4] == ["app", revision[:15], "False", "True"]
    agent.command("suspend", "source", "bucket", "app", "-n", namespace)
    objects.chart("two")
    code, _, errors = agent.ended("reconcile", "source", "bucket", "app", "-n", namespace)
    assert (code, "is suspended" in errors) == (1, True)
    agent.command("resume", "source", "bucket", "app", "-n", namespace)
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert f"bucketName: {namespace}" in agent.command("export", "source", "bucket", "app", "-n", namespace)
    assert "ConfigMap" in agent.command("tree", "kustomization", "app", "-n", namespace)

    fleet.commit({**files, "clusters/secrets.yaml": objects.secrets()}, "with its Secrets")
    code, said, errors = run(["verify", *flags, "-o", "json"], os.environ)
    assert code == 0, said + errors
    found = {item["release"]: (item["result"], item["chart"]) for item in json.loads(said)["releases"]}
    assert found == {f"{namespace}/app": ("ready", "app-1.0.0")}
    assert KEYS.secret not in agent.log + said + errors + planned


def test_a_bucket_that_cannot_be_read_says_why_and_what_runs_keeps_running(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, objects: Objects, releases: Watch, namespace: str
) -> None:
    objects.chart("one")
    fleet.commit(
        {
            "secrets.yaml": objects.secrets(),
            "source.yaml": objects.source(),
            "release.yaml": objects.release(),
        },
        "an app",
    )
    agent.start()
    releases.until(lambda now: is_ready(now.get(f"{namespace}/app")), "app ready")
    wrong = "not-the-pass-word"
    for change, words in (
        (objects.secrets(secretkey=wrong), "access refused (403"),
        (objects.secrets(ca=Authority().pem), "TLS failed"),
    ):
        agent.wait_for("sync finished", commit=fleet.commit({"secrets.yaml": change}, words)[:7])
        agent.ended("reconcile", "source", "bucket", "app", "-n", namespace)
        status = objects.status(kubectl)
        conditions = {item["type"]: item for item in status["conditions"]}
        assert words in conditions["Ready"]["message"]
        assert f"{objects.s3.host}/{namespace}" in conditions["Ready"]["message"]
        assert conditions["FetchFailed"]["reason"] == "BucketOperationFailed"
        assert conditions["ArtifactInStorage"]["status"] == "True"
        agent.until(partial(complains, words), words)
        assert is_ready(releases.get(f"{namespace}/app"))
    agent.wait_for("sync finished", commit=fleet.commit({"secrets.yaml": objects.secrets()}, "corrected")[:7])
    agent.command("reconcile", "source", "bucket", "app", "-n", namespace)
    agent.wait_for("bucket can be read again", repository=f"Bucket/{namespace}/app")
    for secret in (KEYS.secret, wrong):
        assert secret not in agent.log + kubectl("get", "events,buckets", "-n", namespace, "-o", "json")


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"bucketName": "nosuch"}, "BucketOperationFailed", "not found (404, NoSuchBucket)"),
        ({"region": "elsewhere-1"}, "BucketOperationFailed", "the bucket is not in region elsewhere-1"),
        ({"endpoint": "https://localhost"}, "URLInvalid", "spec.endpoint is no host"),
        ({"secretRef": {"name": "certs"}}, "AuthenticationFailed", "holds no keys for a bucket"),
        ({"provider": "gcp"}, "NotSupported", "spec.provider: gcp is not supported yet"),
        ({"provider": "azure"}, "NotSupported", "spec.provider: azure is not supported yet"),
        ({"provider": "aws", "secretRef": None}, "NotSupported", "aws without secretRef is not supported yet"),
        ({"sts": {"provider": "ldap", "endpoint": "https://x"}}, "NotSupported", "spec.sts: is not supported yet"),
        ({"prefix": "big/"}, "BucketOperationFailed", "the largest is 'big/object' with 49.0 MiB"),
        ({"prefix": "bad/"}, "BucketOperationFailed", "is no path of a file below a directory"),
    ],
)
def test_a_release_of_a_bucket_that_has_nothing_waits_and_says_why(
    agent: AgentProcess,
    fleet: Fleet,
    kubectl: Cli,
    objects: Objects,
    releases: Watch,
    namespace: str,
    spec: dict[str, Any],
    reason: str,
    words: str,
) -> None:
    objects.chart("one")
    good = {"prefix": "charts/"}
    fleet.commit(
        {
            "secrets.yaml": objects.secrets(),
            "source.yaml": objects.source(**{**good, **spec}),
            "release.yaml": objects.release(),
        },
        "an app",
    )
    if "prefix" in spec:
        objects.put("bad/etc\\passwd", "x")
        objects.put("big/object", "x" * (49 << 20))
    agent.start()

    def waits(now: Now) -> bool:
        ready = condition(now.get(f"{namespace}/app") or {}, "Ready")
        return ready.get("reason") == "SourceNotReady" and words in ready.get("message", "")

    releases.until(waits, f"app waits: {words}")
    ready = next(it for it in objects.status(kubectl)["conditions"] if it["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert words in ready["message"]
    # Put right, it goes on by itself.
    fleet.commit({"source.yaml": objects.source(**good)}, "corrected")
    releases.until(lambda now: is_ready(now.get(f"{namespace}/app")), "app ready")
    assert text(kubectl, namespace) == "one"
    assert KEYS.secret not in agent.log
