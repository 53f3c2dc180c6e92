"""``gitsync graph`` and ``gitsync validate``: on working trees, on commits, with real charts over HTTP."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gitsync.cli import main
from tests.cli.repositories import git, place, release, write

__all__ = ["place"]

REPOSITORY = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata:
  name: bitnami
  namespace: default
spec:
  url: {url}
"""

CHART = "apiVersion: v2\nname: {name}\nversion: {version}\n"


@pytest.fixture
def charts(tmp_path: Path) -> Iterator[str]:
    """The URL of a chart repository with redis 17.3.14."""
    directory = tmp_path / "charts"
    directory.mkdir()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        text = CHART.format(name="redis", version="17.3.14").encode()
        info = tarfile.TarInfo("redis/Chart.yaml")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    (directory / "redis-17.3.14.tgz").write_bytes(data.getvalue())
    digest = hashlib.sha256(data.getvalue()).hexdigest()
    entry = {"apiVersion": "v2", "name": "redis", "version": "17.3.14", "urls": ["redis-17.3.14.tgz"], "digest": digest}
    (directory / "index.yaml").write_text(json.dumps({"apiVersion": "v1", "entries": {"redis": [entry]}}))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


STORY = {
    "apps/backend.yaml": release("backend", "redis"),
    "apps/redis.yaml": release("redis"),
    "README.md": "no manifest",
}


def test_graph_shows_the_order_with_files(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, STORY)
    assert main(["graph"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ORDER   RELEASE           AFTER           FILE",
        "1       default/redis                     apps/redis.yaml:1:1",
        "2       default/backend   default/redis   apps/backend.yaml:1:1",
    ]


def test_a_cycle_is_named_with_the_place_of_each_edge_and_the_rest_keeps_its_order(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(place, {"a.yaml": release("a", "b"), "b.yaml": release("b", "a"), "c.yaml": release("c")})
    assert main(["graph"]) == 1
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [
        ["1", "default/c"],
        ["-", "default/a"],
        ["-", "default/b"],
    ]
    assert err.splitlines() == [
        "dependency cycle: default/a -> default/b -> default/a",
        "  a.yaml:16:7: default/a depends on default/b",
        "  b.yaml:16:7: default/b depends on default/a",
    ]


def test_a_missing_dependency_is_told_with_its_place(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, {"a.yaml": release("a", "nosuch")})
    assert main(["graph"]) == 0
    out, err = capsys.readouterr()
    assert "default/nosuch" in out
    assert err == "a.yaml:16:7: default/a depends on default/nosuch, which is not in the repository\n"


def test_the_graph_as_json_dot_and_mermaid(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, {"a.yaml": release("a", "b", "nosuch"), "b.yaml": release("b", "b")})
    assert main(["graph", "-o", "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["cycles"][0]["cycle"] == "default/b -> default/b"
    assert data["missing"] == [{"from": "default/a", "to": "default/nosuch", "place": "a.yaml:17:7"}]
    assert {held["name"] for held in data["held"]} == {"default/a", "default/b"}

    assert main(["graph", "-o", "dot"]) == 1
    drawn = capsys.readouterr().out
    assert drawn.startswith("digraph releases {")
    assert '"default/a" -> "default/b";' in drawn
    assert '"default/b" -> "default/b" [color=red];' in drawn
    assert '"default/nosuch" [style=dashed];' in drawn

    assert main(["graph", "-o", "mermaid"]) == 1
    drawn = capsys.readouterr().out
    assert drawn.splitlines()[:2] == ["flowchart BT", '  n0["default/b"]']
    assert "  n0 --> n0" in drawn
    assert "linkStyle 0 stroke:red" in drawn


def test_a_commit_is_read_instead_of_the_working_tree_when_one_is_asked_for(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(place, STORY)
    git(place, "init", "--quiet")
    git(place, "add", "-A")
    git(place, "commit", "--quiet", "-m", "story")
    write(place, {"apps/redis.yaml": release("renamed")})
    assert main(["graph", "--branch", "main"]) == 0
    assert "default/redis" in capsys.readouterr().out
    assert main(["graph", "."]) == 0
    assert "default/renamed" in capsys.readouterr().out
    bare = place.parent / "bare.git"
    git(place, "clone", "--quiet", "--bare", str(place), str(bare))
    for target in (str(bare), bare.as_uri()):
        assert main(["graph", target, "--path", "apps"]) == 0
        assert "apps/redis.yaml:1:1" in capsys.readouterr().out


def test_of_a_working_tree_ignored_files_and_links_are_left_out_and_new_files_count(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(place, "init", "--quiet")
    write(place, {".gitignore": "build/\n", "build/x.yaml": release("ignored"), "new.yaml": release("new")})
    (place / "link.yaml").symlink_to("/etc/hostname")
    assert main(["graph"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]] == ["default/new"]


def test_a_directory_inside_a_working_tree_is_read_alone_and_places_are_seen_from_here(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git(place, "init", "--quiet")
    write(place, {"prod/a.yaml": release("a"), "test/b.yaml": release("b")})
    for arguments in (["prod"], [".", "--path", "prod"]):
        assert main(["graph", *arguments]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == ["1       default/a           prod/a.yaml:1:1"]
    monkeypatch.chdir(place / "test")
    assert main(["graph", "../prod"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["1       default/a           ../prod/a.yaml:1:1"]


def test_a_target_that_is_not_there_is_an_error(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", ".", "--path", "nosuch"]) == 1
    assert "there is no directory 'nosuch'" in capsys.readouterr().err
    assert main(["graph", "nosuch"]) == 1
    assert "nosuch" in capsys.readouterr().err


def test_a_good_repository_is_valid(place: Path, charts: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, {**STORY, "bitnami.yaml": REPOSITORY.format(url=charts)})
    assert main(["validate"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].endswith("3 objects, 2 releases: 0 errors, 0 warnings")


def test_problems_are_printed_as_compilers_print_them(
    place: Path, charts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        place,
        {
            "bitnami.yaml": REPOSITORY.format(url=charts),
            "broken.yaml": "a: [\n",
            "cycle.yaml": release("a", "b") + "---\n" + release("b", "a"),
            "needs-typo.yaml": release("needs-typo", "typo"),
            "typo.yaml": release("typo").replace("interval", "intervall"),
            "version.yaml": release("version", version="99.0.0"),
            "waits.yaml": release("waits", "nosuch"),
        },
    )
    assert main(["validate"]) == 1
    out, err = capsys.readouterr()
    assert [line.partition(" (")[0] for line in out.splitlines()] == [
        "broken.yaml:2:1: error: not valid YAML: did not find expected node content",
        "cycle.yaml:16:7: error: dependency cycle: default/a -> default/b -> default/a",
        "typo.yaml:6:1: error: spec.interval: is required",
        "typo.yaml:7:3: error: spec.intervall: unknown field; did you mean interval?",
        "version.yaml:10:7: error: no version '99.0.0' of chart 'redis' in " + charts,
        "waits.yaml:16:7: error: depends on HelmRelease 'default/nosuch', which is not in the repository",
    ]
    assert err.endswith("5 releases: 6 errors, 0 warnings\n")


def test_a_source_with_a_field_that_cannot_be_read_is_one_problem_and_not_missing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = REPOSITORY.format(url="https://charts.example") + "  intervall: 1h\n"
    of_chart = helm_chart("of-it")
    write(place, {"bitnami.yaml": repository, "redis.yaml": release("redis"), "chart.yaml": of_chart})
    assert main(["validate"]) == 1
    assert [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()] == [
        "bitnami.yaml:8:3: error: spec.intervall: unknown field; did you mean interval?",
    ]


def test_expressions_that_do_not_compile_are_problems_of_their_line(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = "  healthCheckExprs:\n    - apiVersion: charts.example/v1\n      current: status.ready\n      failed: "
    write(
        place,
        {
            "bad.yaml": release("bad", "good\n      readyExpr: depp.status.ready") + check + "'a b'\n",
            "good.yaml": release("good") + check + "'!status.ready'\n",
        },
    )
    assert main(["validate", "--no-charts"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "bad.yaml:17:7: error: spec.dependsOn[0].readyExpr: there is no variable depp, only self and dep, "
        "in: `depp.status.ready`",
        "bad.yaml:21:7: error: spec.healthCheckExprs[0].failed: Syntax error: extraneous input 'b' expecting <EOF> "
        "at line 1, column 3, in: `a b`",
    ]


def test_without_charts_nobody_is_asked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, {**STORY, "bitnami.yaml": REPOSITORY.format(url="http://127.0.0.1:9/nobody")})
    assert main(["validate", "--no-charts"]) == 0
    capsys.readouterr()
    assert main(["validate"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1, "one repository that is away is one problem"
    assert out[0].startswith("bitnami.yaml:7:3: error: ")


def test_charts_in_the_repository_itself_are_read_from_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        place,
        {
            "charts/app/Chart.yaml": CHART.format(name="app", version="1.0.0"),
            "prod/app.yaml": release("app", chart="./charts/app", kind="GitRepository"),
            "prod/gone.yaml": release("gone", chart="./charts/gone", kind="GitRepository"),
        },
    )
    git(place, "init", "--quiet")
    assert main(["validate", "prod"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    assert out[0].startswith("prod/gone.yaml:10:7: error: ")


def test_what_cannot_be_checked_is_a_warning_and_no_failure(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    private = REPOSITORY.format(url="https://charts.example") + "  secretRef:\n    name: login\n"
    write(place, {"redis.yaml": release("redis"), "other.yaml": private.replace("name: bitnami", "name: private")})
    assert main(["validate"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[0] == "checking the charts of 1 release ..."
    assert out.splitlines() == [
        "other.yaml:7:3: warning: not checked: this repository needs a Secret of the cluster",
        "redis.yaml:12:7: warning: chart not checked: HelmRepository 'default/bitnami' is not in the repository",
    ]


FLUX = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 1m, url: "https://git.example/fleet.git"}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system}
spec: {interval: 10m, path: ./clusters/prod, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
"""
APPS = (
    FLUX.partition("---\n")[2].replace("name: flux-system, namespace", "name: apps, namespace").replace("prod", "apps")
)
UNSERVED = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: ExternalArtifact
metadata: {name: all, namespace: default}
spec: {}
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: all, namespace: default}
spec:
  providerRef: {name: nobody}
  exclusionList: ["("]
  eventSources: [{kind: HelmRelease, name: "*"}]
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: bus, namespace: default}
spec: {type: nats, address: "nats://bus.example", channel: all}
"""


BUCKET = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: Bucket
metadata: {name: some, namespace: default}
spec:
  interval: 1h
  bucketName: some
  endpoint: s3.example
  provider: gcp
  sts: {provider: aws, endpoint: "https://sts.example"}
"""

SIGNED = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: signed, namespace: default}
spec:
  interval: 1h
  url: oci://registry.example/app
  provider: aws
  verify: {provider: cosign}
"""


SPOKE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: spoke, namespace: default}
data: {provider: PROVIDER, address: spoke.example}
"""


def test_a_cluster_that_a_config_map_describes_and_nobody_gets_to_is_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = release("there").replace("spec:\n", "spec:\n  kubeConfig: {configMapRef: {name: spoke}}\n", 1)
    write(place, {"prod/there.yaml": there, "prod/spoke.yaml": SPOKE.replace("PROVIDER", "gcp")})
    git(place, "init", "--quiet")
    assert main(["validate", "--no-charts", "prod"]) == 1
    said = "prod/there.yaml:7:16: error: kubeConfig: provider gcp of ConfigMap/default/spoke is not supported: "
    assert said in capsys.readouterr().out
    write(place, {"prod/spoke.yaml": SPOKE.replace("PROVIDER", "generic")})
    main(["validate", "--no-charts", "prod"])
    assert "kubeConfig" not in capsys.readouterr().out


def test_what_is_not_served_is_named_at_its_line_and_an_error_where_something_stays_away(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_reference = release("referring").partition("  chart:\n")[0] + "  chartRef: {kind: ExternalArtifact, name: app}\n"
    write(
        place,
        {
            "clusters/prod/flux.yaml": FLUX,
            "clusters/prod/apps.yaml": APPS,
            "clusters/prod/bucket.yaml": BUCKET,
            "clusters/prod/oci.yaml": SIGNED,
            "clusters/prod/ref.yaml": by_reference,
            "clusters/prod/unserved.yaml": UNSERVED,
        },
    )
    git(place, "init", "--quiet")
    assert main(["validate", "clusters/prod"]) == 1
    lines = [line.partition(" (")[0].removeprefix("clusters/prod/") for line in capsys.readouterr().out.splitlines()]
    serves = "gitsync does not serve"
    assert lines == [
        "apps.yaml:4:23: error: clusters/apps: is no directory of the repository",
        "bucket.yaml:8:3: error: spec.provider: gcp is not supported yet: its API is not spoken",
        "bucket.yaml:9:3: error: spec.sts: is not supported yet: no temporary credentials are fetched",
        "oci.yaml:7:3: error: spec.provider: aws: registry.example is none of its registries, and would be shown its "
        "login",
        "oci.yaml:8:3: error: spec.verify.matchOIDCIdentity: without it a signature by anybody would count",
        "ref.yaml:8:3: warning: chart not checked: ExternalArtifact 'default/app' is made by no ArtifactGenerator of "
        "its namespace",
        f"unserved.yaml:1:1: warning: {serves} ExternalArtifact yet: nothing is read from it",
        "unserved.yaml:10:17: warning: spec.providerRef.name: there is no Provider/default/nobody in the repository: "
        "no notification is sent until there is one",
        "unserved.yaml:11:19: error: spec.exclusionList[0]: '(' is no regular expression: missing ):",
        f"unserved.yaml:17:8: warning: {serves} Providers of type nats yet: nothing is sent to it",
    ]
    assert main(["validate", "clusters/prod", "--no-charts"]) == 1, "it needs no network to know"
    assert len(capsys.readouterr().out.splitlines()) == len(lines) - 1


def helm_chart(name: str, **spec: Any) -> str:
    fields = {"interval": "1h", "chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "bitnami"}, **spec}
    metadata = {"name": name, "namespace": "default"}
    kind = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart"}
    return json.dumps({**kind, "metadata": metadata, "spec": fields}) + "\n"


def test_what_two_kustomizations_have_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flux applies it twice; here it is one's, and the other one fails."""
    kustomization = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {0}, namespace: flux-system}}
spec: {{interval: 1h, path: {1}, prune: true, sourceRef: {{kind: GitRepository, name: flux-system}}}}
"""
    config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {0}, namespace: apps}}\n"
    files = {
        "prod/all.yaml": "---\n".join(
            kustomization.format(*item) for item in (("all", "./apps"), ("one", "./apps/one"), ("two", "./apps/two"))
        ),
        "apps/one/a.yaml": config_map.format("a"),
        "apps/two/b.yaml": "---\n".join(map(config_map.format, "bcd")),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    monkeypatch.chdir(tmp_path)
    assert main(["validate", "prod"]) == 0
    by, hint = "by Kustomization/flux-system/all, too: who applies", "(leave {} to one of the two)"
    assert [line for line in capsys.readouterr().out.splitlines() if ": warning: " in line] == [
        f"prod/all.yaml:6:1: warning: ConfigMap/apps/a of it comes {by} it first has it {hint.format('it')}",
        "prod/all.yaml:11:1: warning: ConfigMap/apps/b and 2 other objects of it come "
        f"{by} them first has them {hint.format('them')}",
    ]


def test_a_kind_that_is_not_served_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A repository with image automation has dozens of these."""
    policy = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\nmetadata: {{name: p{0}, namespace: apps}}\n"
    texts = [policy.format(number) for number in range(3)]
    repository = texts[0].replace("ImagePolicy", "ImageRepository")
    files = {"a.yaml": "---\n".join([texts[0], texts[1], repository]), "b.yaml": texts[2]}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    monkeypatch.chdir(tmp_path)
    assert main(["validate"]) == 0
    nothing = "no image is looked for, and nothing is committed"
    assert capsys.readouterr().out.splitlines() == [
        f"a.yaml:1:1: warning: gitsync does not serve ImagePolicy yet: {nothing} (2 others of it)",
        f"a.yaml:9:1: warning: gitsync does not serve ImageRepository yet: {nothing}",
    ]


def test_the_charts_of_helmcharts_are_looked_for_once_each(
    place: Path, charts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def by_reference(chart: str) -> str:
        return release(f"of-{chart}").partition("  chart:\n")[0] + f"  chartRef: {{kind: HelmChart, name: {chart}}}\n"

    git_source = {"kind": "GitRepository", "name": "this"}
    write(
        place,
        {
            "bitnami.yaml": REPOSITORY.format(url=charts),
            "charts.yaml": "---\n".join(
                [
                    helm_chart("good"),
                    helm_chart("here", chart="./charts/app", sourceRef=git_source),
                    helm_chart("bad", version="99.0.0"),
                    helm_chart("other", sourceRef={"kind": "HelmRepository", "name": "other"}),
                    helm_chart("signed", chart="./charts/app", sourceRef=git_source, verify={"provider": "cosign"}),
                ]
            ),
            "releases.yaml": "---\n".join(map(by_reference, ("good", "here", "bad", "other", "nosuch"))),
            "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
        },
    )
    assert main(["validate"]) == 1
    lines = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()]
    assert [line.replace(charts, "URL") for line in lines] == [
        "charts.yaml:5:148: error: HelmChart 'default/bad' is not ready: no version '99.0.0' of chart 'redis' in URL",
        "charts.yaml:7:150: warning: chart not checked: HelmRepository 'default/other' is not in the repository",
        "charts.yaml:9:232: error: spec.verify: is for charts of registries, and this one is from a GitRepository",
        "releases.yaml:44:3: warning: chart not checked: HelmChart 'default/nosuch' is not in the repository",
    ]


def test_what_kustomizations_lead_to_is_built_and_checked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two levels down, with a variable that the repository holds, and one that it does not."""
    unknown = APPS.replace("name: apps", "name: more").replace("clusters/apps", "more")
    unknown = unknown.replace("prune:", "postBuild: {substituteFrom: [{kind: Secret, name: x}]}, prune:")
    variables = "postBuild: {substitute: {name: cache}}, prune:"
    nested = APPS.replace("name: apps", "name: nested").replace("clusters/apps", "nested").replace("prune:", variables)
    write(
        place,
        {
            "prod/apps.yaml": APPS.replace("clusters/apps", "apps"),
            "prod/more.yaml": unknown,
            "apps/nested.yaml": nested,
            "nested/app.yaml": release("app", "nosuch").replace("name: app,", "name: '${name}',"),
            "more/app.yaml": release("${unknown}"),
        },
    )
    git(place, "init", "--quiet")
    assert main(["validate", "prod", "--no-charts"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("nested/app.yaml:") and "'default/nosuch'" in line for line in lines), lines
    assert any("Secret/flux-system/x is not in the repository" in line for line in lines), lines


def test_another_git_repository_is_an_error_when_it_cannot_be_read(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = FLUX.partition("---\n")[0].replace("flux-system", "other", 1).replace("flux-system", "default")
    app = release("app", chart="./charts/app", kind="GitRepository").replace("flux-system", "other")
    write(place, {"app.yaml": app, "other.yaml": other})
    assert main(["validate"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("other.yaml:4:22: error: GitRepository 'default/other' is not ready: cannot reach https://")


def test_json_holds_every_problem_and_the_verdict(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, {"waits.yaml": release("waits", "nosuch")})
    assert main(["validate", "--no-charts", "-o", "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["valid"], data["releases"], data["commit"]) == (False, 1, None)
    (problem,) = data["problems"]
    assert {name: problem[name] for name in ("file", "line", "column", "severity", "object", "field")} == {
        "file": "waits.yaml", "line": 16, "column": 7, "severity": "error", "object": "HelmRelease/default/waits",
        "field": "spec.dependsOn",
    }  # fmt: skip


def test_references_to_other_namespaces_are_errors_where_they_are_not_allowed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = release("redis").replace("name: bitnami", "name: bitnami\n        namespace: flux-system")
    write(place, {"redis.yaml": elsewhere, "backend.yaml": release("backend", "redis")})
    assert main(["validate", "--no-charts"]) == 0
    capsys.readouterr()
    assert main(["validate", "--no-charts", "--no-cross-namespace-refs"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("redis.yaml:")
    assert line.endswith(
        "error: cross-namespace references are not allowed: cannot access HelmRepository/flux-system/bitnami"
    )


def test_two_about_one_helm_release_are_a_problem_at_the_name_of_the_second(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(place, {"one.yaml": release("one") + "  releaseName: redis\n", "redis.yaml": release("redis")})
    assert main(["validate", "--no-charts"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("redis.yaml:")
    assert "error: release redis is already managed by HelmRelease default/one" in line
