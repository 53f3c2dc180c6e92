"""What is in a Secret of a release's valuesFrom is in no text that leaves the agent, however the chart spells it."""

from __future__ import annotations

import base64
import gzip
import html
import json
import urllib.parse
from collections.abc import Mapping

import pytest
from aiohttp import web

from tests.charts.servers import serving
from tests.controlplane.cluster import Cli
from tests.controlplane.processes import free_ports
from tests.e2e.background import Background
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map, release
from tests.e2e.notifying import alert, provider, receiving
from tests.e2e.pages import asked
from tests.notify.receiving import Receiving
from tests.until import ask_until

CHART = "apiVersion: v2\nname: leaky\nversion: 1.0.0\n"
#: One way of telling the password a value of ``mode``.
TEMPLATES = {
    "says": '{{ fail (printf "bad: %s, %s" (join " " .Values.passwords) (.Values.passwords | join " " | quote)) }}',
    "encodes": '{{ range .Values.passwords }}{{ $x = printf "%s %s" $x (. | b64enc) }}{{ end }}{{ fail $x }}',
    "logs-in": (
        '{{ range .Values.passwords }}{{ $x = printf "ada:%s\\n" . | b64enc | printf "%s %s" $x }}{{ end }}'
        "{{ fail $x }}"
    ),
    "asks": '{{ range .Values.passwords }}{{ $x = printf "%s&q=%s" $x (. | urlquery) }}{{ end }}{{ fail $x }}',
    "json": '{{ fail (printf "bad: %s" (.Values.passwords | toJson)) }}',
    "key": '{{ fail (printf "no such keys %s" (keys .Values.byUser | join ", ")) }}',
    "refused": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: refused}\n"
        "spec: {ports: [{port: 80, name: {{ .Values.passwords | first | quote }}}]}\n"
    ),
    "waits": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: slow-{{ .Values.name }}}\nspec:\n"
        "  selector: {matchLabels: {app: slow}}\n  template:\n    metadata: {labels: {app: slow}}\n"
        "    spec: {containers: [{name: slow, image: 'registry.example/{{ .Values.name }}:nonexistent'}]}\n"
    ),
    "drops": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: dropped-{{ .Values.name }}\n"
        "  annotations: {helm.sh/resource-policy: keep}\n"
    ),
}
#: Those with objects that are named so: a tree names the objects that there are.
NAMED = {"waits", "drops"}
PASSWORDS = ["correct-horse/battery+staple?", 'pa"ss\\wörd{%s}', "0123456", "[never-closed"]
NAME = "hunter2-is-a-name"
#: Of a chart repository.
PASSWORD = "open-sesame-7"


def spellings(secret: str) -> set[str]:
    """Written by hand, so that a mistake of the masking's own list shows."""
    data = secret.encode()
    return {
        secret,
        json.dumps(secret)[1:-1],
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        base64.b64encode(data).decode(),
        base64.b64encode(b"ada:" + data).decode()[8:-4],
    }


def leaky(namespace: str, mode: str) -> str:
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {mode}, namespace: {namespace}}}
spec:
  interval: 1h
  timeout: 2s
  install: {{remediation: {{retries: 0}}}}
  chart: {{spec: {{chart: ./charts/{mode}, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
  valuesFrom: [{{kind: Secret, name: creds}}]
"""


@pytest.mark.timeout(300)
def test_no_text_tells_a_secret_of_a_release(
    agent: AgentProcess, fleet: Fleet, background: Background, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    """By every way out: the log, objects, Events, records, notifications, the page, metrics, and what commands say."""
    with receiving(background) as service:
        releases_tell_nothing(agent, fleet, service, kubectl, helm_cli, namespace)


def releases_tell_nothing(
    agent: AgentProcess, fleet: Fleet, service: Receiving, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    values = json.dumps({"passwords": PASSWORDS, "name": NAME, "byUser": dict.fromkeys(PASSWORDS, "x")})
    kubectl("create", "secret", "generic", "creds", "-n", namespace, f"--from-literal=values.yaml={values}")
    files: dict[str, str | None] = {}
    for mode, template in TEMPLATES.items():
        files[f"charts/{mode}/Chart.yaml"] = CHART
        files[f"charts/{mode}/templates/all.yaml"] = f'{{{{ $x := "" }}}}{template}'
        files[f"fleet/{mode}.yaml"] = leaky(namespace, mode)
    notifying = (provider(namespace, "all", "generic", service.url), alert(namespace, "all", eventSeverity="info"))
    files["fleet/notify.yaml"] = "\n---\n".join(notifying)
    page, metrics = free_ports(2)
    agent.arguments += ["--path=fleet", "--log-level=debug", f"--web-port={page}", f"--metrics-port={metrics}"]
    fleet.commit(files, "charts that tell what they are given")
    agent.start()
    agent.wait_for("sync finished with failures", commit=fleet.head[:7])
    kind = "/object/helm.toolkit.fluxcd.io/HelmRelease"
    pages = [f"{kind}/{namespace}/{mode}" for mode in set(TEMPLATES) - NAMED]
    served = [asked(page, path) for path in ("/", "/commits", *pages)]
    assert {code for code, _ in served} == {200}
    counted = asked(metrics, "/metrics")
    fleet.commit({"fleet/drops.yaml": "# gone\n", "fleet/other.yaml": "# other\n"}, "one is removed")
    agent.wait_for("release uninstalled", release=f"{namespace}/drops")
    assert agent.stop() == 0

    releases = json.loads(kubectl("get", "helmrelease", "-n", namespace, "-o", "json"))["items"]
    fleet.edit("charts/waits/Chart.yaml", "1.0.0", "1.0.1", "what a plan shows")
    planned = (f"--repo={fleet.path}", f"--state-dir={agent.directory / 'state'}", "--path=fleet")
    events = json.loads(kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    told = {
        "log": agent.log,
        "conditions": [item["status"]["conditions"] for item in releases],
        "events": [item for item in events if item["involvedObject"]["kind"] == "HelmRelease"],
        "annotations": [item["metadata"].get("annotations") for item in releases],
        "page": [html.unescape(text) for _, text in served],
        "metrics": counted,
        "notifications": [taken.json for taken in service.taken],
        "records": [descriptions(kubectl, namespace)],
        "gitsync log": agent.command("log"),
        "gitsync log, JSON": agent.command("log", "-o", "json"),
        "gitsync get": agent.ended("get", "helmreleases", "-n", namespace),
        "gitsync get all": [line for line in agent.command("get", "all", "-n", namespace) if "Deployment" not in line],
        "gitsync events": [
            agent.ended("events", "-n", namespace, "--for", f"helmrelease/{mode}") for mode in set(TEMPLATES) - NAMED
        ],
        "gitsync diff": agent.ended("diff", fleet.head + "~1", fleet.head, *planned),
        "gitsync validate": agent.ended("validate", f"{fleet.path}/fleet"),
        "gitsync plan, JSON": agent.ended("plan", *planned, "-o", "json"),
        "gitsync plan": agent.ended("plan", *planned),
        "gitsync tree": [agent.ended("tree", "helmrelease", mode, "-n", namespace) for mode in set(TEMPLATES) - NAMED],
        "gitsync history": [
            agent.command("history", "helmrelease", mode, "-n", namespace) for mode in ("waits", "refused")
        ],
        "gitsync export": agent.command("export", "helmrelease", "--all", "-n", namespace),
        "helm history": [helm_cli("history", mode, "-n", namespace) for mode in ("waits", "refused")],
    }
    tells_nothing(told)
    assert "no such keys ***" in agent.log
    assert "Deployment/" in agent.log


def descriptions(kubectl: Cli, namespace: str) -> list[str]:
    """What Helm's records say of each revision, beside its manifest and values."""
    listed = json.loads(kubectl("get", "secrets", "-n", namespace, "-l", "owner=helm", "-o", "json"))["items"]
    bodies = [base64.b64decode(base64.b64decode(item["data"]["release"])) for item in listed]
    return [json.loads(gzip.decompress(body))["info"].get("description", "") for body in bodies]


def tells_nothing(told: Mapping[str, object]) -> None:
    """None of these texts, by where they are from, has one of the secrets in it."""
    for where, text in told.items():
        shown = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
        for secret in (*PASSWORDS, NAME):
            found = {form for form in spellings(secret) if form in shown or json.dumps(form)[1:-1] in shown}
            assert not found, f"{where} tells {found}"


#: Directories in which a variable out of a Secret comes to where it is told, by whom it is told.
TELLING = {
    "refused": """\
apiVersion: v1
kind: Service
metadata: {name: refused, namespace: NAMESPACE}
spec: {ports: [{port: 80, name: x}, {port: 81, name: "${p0}"}, {port: "${p2}", name: y}]}
""",
    "named": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'Bad_${name}', namespace: NAMESPACE}\n",
    "labelled": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: labelled, namespace: NAMESPACE, labels: {x: '${p0}'}}\n"
    ),
    "unread": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: unread, namespace: NAMESPACE}\ndata:\n  x: ${p3}\n",
    "typed": """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: typed, namespace: NAMESPACE}
spec: {interval: "${p0}", chart: {spec: {chart: app, sourceRef: {kind: "${p1}", name: charts}}}}
""",
    "waits": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: "slow-${name}", namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: slow}}
  template:
    metadata: {labels: {app: slow}}
    spec: {containers: [{name: slow, image: "registry.example/${name}:nonexistent"}]}
""",
    "drops": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'dropped-${name}', namespace: NAMESPACE}\n",
}


def test_no_text_tells_a_secret_variable_of_a_kustomization(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    literals = [f"--from-literal=p{number}={password}" for number, password in enumerate(PASSWORDS)]
    kubectl("create", "secret", "generic", "creds", "-n", namespace, *literals, f"--from-literal=name={NAME}")
    variables = {"substituteFrom": [{"kind": "Secret", "name": "creds"}]}
    files: dict[str, str | None] = {}
    for name, text in TELLING.items():
        files[f"{name}/all.yaml"] = text.replace("NAMESPACE", namespace)
        files[f"fleet/{name}.yaml"] = kustomization(
            namespace, name, f"./{name}", postBuild=variables, wait=name == "waits", timeout="3s"
        )
    files["drops/kept.yaml"] = config_map(namespace, "kept")
    fleet.commit(files, "directories that tell what they are given")
    agent.arguments += ["--path=fleet", "--log-level=debug"]
    agent.start().wait_for("gitsync started")

    def told() -> dict[str, str]:
        kind = "kustomizations.kustomize.toolkit.fluxcd.io"
        listed = json.loads(kubectl("get", kind, "-n", namespace, "-o", "json"))["items"]
        return {item["metadata"]["name"]: json.dumps(item.get("status", {}).get("conditions")) for item in listed}

    failed = set(TELLING) - {"drops"}
    ask_until(
        told,
        lambda said: all('"False"' in said.get(name, "") for name in failed) and '"True"' in said.get("drops", ""),
        "all have failed but one",
    )
    touched = {f"{name}/README.md": "changed" for name in failed}
    fleet.commit({"drops/all.yaml": "# gone\n", **touched}, "an object is dropped")
    # It is not deleted, for those that cannot be built and are changed by the commit may want it.
    agent.until(lambda line: line.msg == "object kept" and line.fields.get("sync") == f"{namespace}/drops")
    events = json.loads(kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    texts = {
        "conditions": told(),
        "events": [item for item in events if item["involvedObject"]["kind"] == "Kustomization"],
        "gitsync log": agent.command("log"),
        "gitsync get": agent.command("get", "kustomizations", "-n", namespace),
        "gitsync events": agent.command("events", "-n", namespace, "--for", "kustomization/refused"),
    }
    assert agent.stop() == 0
    tells_nothing({**texts, "log": agent.log})
    assert "***" in agent.log


async def _tells(request: web.Request) -> web.StreamResponse:
    """A server that leads to where the password is a part of the address, and has nothing there."""
    if PASSWORD in request.path:
        raise web.HTTPNotFound(reason=f"not with {PASSWORD}")
    raise web.HTTPFound(f"/{PASSWORD}/index.yaml")


def test_no_text_tells_the_password_of_a_chart_repository(
    agent: AgentProcess, fleet: Fleet, background: Background, kubectl: Cli, namespace: str
) -> None:
    kubectl("create", "secret", "generic", "login", "-n", namespace, f"--from-literal=password={PASSWORD}")
    kubectl("patch", "secret", "login", "-n", namespace, "-p", '{"stringData": {"username": "ada"}}')
    server = serving(_tells)
    url = background.run(server.__aenter__()).url
    try:
        source = f"""\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: charts, namespace: {namespace}}}
spec: {{url: {url}, interval: 1h, secretRef: {{name: login}}}}
"""
        fleet.commit({"charts.yaml": source, "app.yaml": release(namespace, "app")}, "a repository with a login")
        agent.start().wait_for("chart repository cannot be read", repository=f"{namespace}/charts")
        ready = ask_until(
            lambda: kubectl("get", "helmrelease,helmrepository", "-n", namespace, "-o", "json"),
            lambda text: text.count('"reason": "ArtifactFailed"') and text.count('"type": "FetchFailed"'),
            "both say what is wrong",
        )
        assert "***" in ready
        assert PASSWORD not in ready
        assert PASSWORD not in kubectl("get", "events", "-n", namespace, "-o", "json")
        assert agent.stop() == 0
        assert PASSWORD not in agent.log
    finally:
        background.run(server.__aexit__(None, None, None))
