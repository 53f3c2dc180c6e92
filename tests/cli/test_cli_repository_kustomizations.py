"""``gitsync graph`` and ``gitsync validate`` on a working tree with Kustomizations."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from gitsync.cli import main
from tests.cli.repositories import git, place, release, write
from tests.e2e.kustomizations import kustomization as in_namespace

__all__ = ["place"]


def kustomization(name: str, *needs: str, path: str = "", **spec: Any) -> str:
    depends = [{"name": need} if "/" not in need else _kind_and_name(need) for need in needs]
    return in_namespace("default", name, path or f"./{name}", dependsOn=depends, **spec)


def _kind_and_name(text: str) -> dict[str, str]:
    kind, _, name = text.partition("/")
    return {"kind": kind, "name": name}


@pytest.fixture
def here(place: Path) -> Path:
    git(place, "init", "--quiet")
    return place


def test_the_graph_orders_kustomizations_and_what_they_bring(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        here,
        {
            "clusters/infra.yaml": kustomization("infra", wait=True),
            "clusters/apps.yaml": kustomization("apps", "infra"),
            "infra/db.yaml": release("db", kind="GitRepository"),
            "apps/web.yaml": release("web", kind="GitRepository"),
        },
    )
    assert main(["graph", "clusters"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    git_repository = "GitRepository/default/flux-system"
    assert lines == [
        ["ORDER", "OBJECT", "AFTER", "KUSTOMIZATION", "SOURCE", "FILE"],
        ["1", "HelmRelease/default/db", "default/infra", git_repository, "infra/db.yaml:1:1"],
        ["2", "Kustomization/default/infra", git_repository, "clusters/infra.yaml:1:1"],
        ["3", "Kustomization/default/apps", "Kustomization/default/infra", git_repository, "clusters/apps.yaml:1:1"],
        ["3", "HelmRelease/default/web", "default/apps", git_repository, "apps/web.yaml:1:1"],
    ]
    assert main(["graph", "clusters", "-o", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["layers"] == [["default/db"], ["default/web"]]
    assert data["order"][1] == ["Kustomization/default/infra"]
    assert data["kustomizations"][0]["name"] == "default/apps"
    assert data["kustomizations"][0]["dependsOn"] == ["Kustomization/default/infra"]
    (web,) = [item for item in data["releases"] if item["name"] == "default/web"]
    assert (web["kustomization"], web["source"]) == ("default/apps", git_repository)


def test_pictures_have_what_kustomizations_bring_inside_of_them(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, {"clusters/apps.yaml": kustomization("apps"), "apps/web.yaml": release("web", kind="GitRepository")})
    assert main(["graph", "clusters", "-o", "dot"]) == 0
    assert capsys.readouterr().out.splitlines()[3:-1] == [
        '  subgraph "cluster Kustomization/default/apps" {',
        '    "Kustomization/default/apps";',
        '    "HelmRelease/default/web";',
        "  }",
        '  "GitRepository/default/flux-system" [shape=ellipse];',
        '  "Kustomization/default/apps" -> "GitRepository/default/flux-system" [style=dotted];',
        '  "HelmRelease/default/web" -> "GitRepository/default/flux-system" [style=dotted];',
    ]
    assert main(["graph", "clusters", "-o", "mermaid"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "flowchart BT",
        '  subgraph in_n0[" "]',
        '    n0["Kustomization/default/apps"]',
        '    n1["HelmRelease/default/web"]',
        "  end",
        '  n2(["GitRepository/default/flux-system"])',
        "  n0 -.-> n2",
        "  n1 -.-> n2",
    ]


CYCLES: dict[str, tuple[dict[str, str], str]] = {
    "among Kustomizations": (
        {"clusters/a.yaml": kustomization("a", "b"), "clusters/b.yaml": kustomization("b", "a")},
        "dependency cycle: default/a -> default/b -> default/a",
    ),
    "with what it brings itself": (
        {
            "clusters/a.yaml": kustomization("a", "HelmRelease/web"),
            "a/web.yaml": release("web", kind="GitRepository"),
        },
        "dependency cycle: default/web -> default/web",
    ),
    "across kinds": (
        {
            "clusters/a.yaml": kustomization("a", "HelmRelease/web"),
            "clusters/b.yaml": kustomization("b", "a"),
            "b/web.yaml": release("web", kind="GitRepository"),
        },
        "dependency cycle: Kustomization/default/a -> HelmRelease/default/web -> Kustomization/default/a",
    ),
}


@pytest.mark.parametrize("cycle", CYCLES)
def test_cycles_across_kustomizations_are_named_with_their_places(
    here: Path, capsys: pytest.CaptureFixture[str], cycle: str
) -> None:
    files, said = CYCLES[cycle]
    plain = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"
    write(here, {f"{name}/plain.yaml": plain.replace("plain}", f"{name}}}") for name in ("a", "b")} | files)
    assert main(["validate", "clusters", "--no-charts"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "cycle" in line]
    assert len(lines) == 1, lines
    assert lines[0].startswith("clusters/")
    assert f"error: {said} (take one of these away: " in lines[0]
    assert main(["graph", "clusters"]) == 1
    capsys.readouterr()


def test_dependencies_that_are_not_there_and_patches_without_a_target_are_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patch = '[{"op": "add", "path": "/metadata/labels", "value": {}}]'
    patches = [
        {"patch": patch, "target": {"kind": "ConfigMap", "name": "plain"}},
        {"patch": patch, "target": {"kind": "Deployment"}},
    ]
    web = release("web", kind="GitRepository")
    write(
        here,
        {
            "clusters/a.yaml": kustomization("a", "nosuch", "HelmRelease/a", patches=patches, namePrefix="x-"),
            "a/plain.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n",
            "clusters/web.yaml": web,
        },
    )
    assert main(["validate", "clusters", "--no-charts"]) == 1
    lines = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()]
    assert sorted(lines) == [
        "error: depends on HelmRelease 'default/a', which is not in the repository "
        "(did you mean Kustomization 'default/a'?)",
        "error: depends on Kustomization 'default/nosuch', which is not in the repository",
        "warning: spec.patches[1].target: selects no object that this Kustomization brings",
    ]


def test_a_run_that_reads_no_release_says_why(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = json.loads(kustomization("apps"))
    elsewhere["spec"]["sourceRef"] = {"kind": "OCIRepository", "name": "other"}
    write(here, {"clusters/apps.yaml": json.dumps(elsewhere)})
    for command in (["validate", "--no-charts"], ["graph"]):
        main([*command[:1], "clusters", *command[1:]])
        err = capsys.readouterr().err
        assert "no HelmRelease: what is in 1 of 1 Kustomization is not known (default/apps: OCIRepository/" in err
    plain = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"
    write(here, {"clusters/apps.yaml": kustomization("apps"), "apps/plain.yaml": plain})
    assert main(["validate", "clusters", "--no-charts"]) == 0
    assert "no HelmRelease: 1 Kustomization brings none" in capsys.readouterr().err


def test_variables_that_another_kustomization_brings_are_known_wherever_it_stands(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {"substituteFrom": [{"kind": "ConfigMap", "name": "settings"}]}
    settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: default}\ndata: {name: web}\n"
    write(
        here,
        {
            "clusters/a.yaml": kustomization("a", postBuild=variables),
            "clusters/b.yaml": kustomization("b", path="./b"),
            "a/web.yaml": release("${name}", kind="GitRepository"),
            "b/inner.yaml": kustomization("inner"),
            "inner/settings.yaml": settings,
        },
    )
    assert main(["validate", "clusters", "--no-charts"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["graph", "clusters", "-o", "json"]) == 0
    assert [item["name"] for item in json.loads(capsys.readouterr().out)["releases"]] == ["default/web"]


FOREIGN = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": "flux", "namespace": "default"},
    "spec": {"interval": "1h", "url": "https://git.example/flux"},
}
SEALED = """\
apiVersion: v1
kind: Secret
metadata: {name: settings, namespace: default}
stringData: {name: "ENC[AES256_GCM,data:abc=,iv:x=,tag:y=,type:str]"}
sops: {mac: "ENC[x]", version: 3.9.0}
"""


def test_a_source_that_another_kustomization_brings_is_known_wherever_it_stands(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_flux: dict[str, Any] = {"sourceRef": {"kind": "GitRepository", "name": "flux"}}
    of_this: dict[str, Any] = {"sourceRef": {"kind": "GitRepository", "name": "fleet"}}  # made by hand
    write(
        here,
        {
            "clusters/a.yaml": kustomization("a", path="./manifests/install", **of_flux),
            "clusters/b.yaml": kustomization("b", **of_this),
            "clusters/c.yaml": kustomization("c", **of_this),
            "b/source.yaml": json.dumps(FOREIGN),
            "c/web.yaml": release("web", kind="GitRepository"),
        },
    )
    assert main(["validate", "clusters", "--no-charts"]) == 0
    out, err = capsys.readouterr()
    assert out == (
        "clusters/a.yaml:1:1: warning: GitRepository/default/flux is not this repository: what is in it is not"
        " checked\n"
        "clusters/b.yaml:1:1: warning: GitRepository/default/fleet is not in the repository, and is taken to be it"
        " (2 Kustomizations read it) (without it nothing is applied: add it, if nothing else does)\n"
    )
    assert "3 Kustomizations, 1 release: 0 errors, 2 warnings" in err


def test_what_many_kustomizations_lack_for_one_reason_is_said_once(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Secret that something hands out to every namespace, and a source that is another repository."""
    build = {"substituteFrom": [{"kind": "Secret", "name": "cluster-secrets"}]}
    of_flux: dict[str, Any] = {"sourceRef": {"kind": "GitRepository", "name": "flux"}}
    texts = [
        kustomization("a", path="./apps", postBuild=build),
        in_namespace("other", "b", "./apps", postBuild=build),
        kustomization("c", path="./install", **of_flux),
        kustomization("d", path="./install", **of_flux),
        json.dumps(FOREIGN),
    ]
    write(here, {"clusters/all.yaml": "\n---\n".join(texts), "apps/web.yaml": release("web", kind="GitRepository")})
    assert main(["validate", "clusters", "--no-charts"]) == 0
    said = [line.partition(": warning: ")[2] for line in capsys.readouterr().out.splitlines()]
    assert sorted(said) == [
        "GitRepository/default/flux is not this repository: what is in it is not checked (2 Kustomizations read it)",
        "HelmRelease/default/web of it comes by Kustomization/default/a, too: who applies it first has it (leave it to "
        "one of the two)",
        "Secret/default/cluster-secrets and 1 other of that name are not in the repository: their variables are not "
        "known (2 Kustomizations take them)",
    ]


def test_what_is_wrong_without_variables_that_are_not_known_says_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is all variable, as of the certificate of a secret domain."""
    build = {"substituteFrom": [{"kind": "Secret", "name": "cluster-secrets"}]}
    files = {
        "clusters/apps.yaml": kustomization("apps", postBuild=build),
        "apps/domain.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${DOMAIN/./-}\n",
    }
    write(here, files)
    assert main(["validate", "clusters", "--no-charts"]) == 0
    assert (
        "apps/domain.yaml:4:3: warning: metadata.name is missing (it may be right with the variables of "
        "Secret/default/cluster-secrets, which are not known here)"
    ) in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("path", ["../apps", "./x/../apps/", "/apps/../../apps"])
def test_a_path_does_not_lead_out_of_the_repository(here: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    """kustomize-controller takes such a path from the root."""
    write(here, {"clusters/apps.yaml": kustomization("apps", path=path)})
    write(here, {"apps/web.yaml": release("web", kind="GitRepository")})
    assert main(["validate", "clusters", "--no-charts"]) == 0
    out, err = capsys.readouterr()
    assert (out, "1 Kustomization, 1 release: 0 errors" in err) == ("", True)


def test_an_artifact_by_the_name_of_the_clusters_own_source_is_made_of_this_repository(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shape of clusters that Flux's operator sets up: a pipeline pushes the repository to a registry."""
    pushed: dict[str, Any] = {"sourceRef": {"kind": "OCIRepository", "name": "flux-system"}}
    files = {
        "clusters/apps.yaml": kustomization("apps", **pushed),
        "clusters/other.yaml": kustomization("other", path="./elsewhere", **pushed),
        "apps/web.yaml": release("web", kind="GitRepository"),
    }
    write(here, files)
    assert main(["validate", "clusters", "--no-charts"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "clusters/other.yaml:1:1: warning: OCIRepository/default/flux-system is not this repository: "
        "what is in it is not checked"
    ]
    assert "2 Kustomizations, 1 release" in err


def test_what_the_root_kustomization_decrypts_is_known_by_its_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = in_namespace("flux-system", "flux-system", "./clusters", decryption={"provider": "sops"})
    variables = {"substituteFrom": [{"kind": "Secret", "name": "settings"}]}
    files = {
        "clusters/root.yaml": root,
        "clusters/settings.yaml": SEALED,
        "clusters/apps.yaml": kustomization("apps", postBuild=variables),
        "apps/web.yaml": release("web", kind="GitRepository"),
    }
    write(here, files)
    said = "clusters/settings.yaml:1:1: warning: 1 object in the directory encrypted with SOPS: only kinds and names"
    unknown = "clusters/apps.yaml:1:1: warning: the variables of Secret/default/settings are encrypted with SOPS"
    assert main(["validate", "clusters", "--no-charts"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.startswith(start) for line, start in zip(out, (unknown, said), strict=True)] == [True, True], out

    write(here, {"clusters/root.yaml": in_namespace("flux-system", "flux-system", "./clusters")})
    assert main(["validate", "clusters", "--no-charts"]) == 1
    assert "nothing decrypts it here" in capsys.readouterr().out
    assert main(["validate", "clusters", "--no-charts", "--sops-age-secret", "keys"]) == 0
    assert said in capsys.readouterr().out


def test_the_root_kustomization_may_be_in_a_build_with_what_it_decrypts(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``flux bootstrap`` writes it, with a Secret added to it. Who depends on it does not miss it, either."""
    root = in_namespace("flux-system", "flux-system", "./clusters", decryption={"provider": "sops"})
    files = {
        "clusters/flux-system/kustomization.yaml": "resources: [gotk-sync.yaml, settings.yaml]\n",
        "clusters/flux-system/gotk-sync.yaml": root,
        "clusters/flux-system/settings.yaml": SEALED,
        "clusters/apps.yaml": in_namespace("flux-system", "apps", "./apps", dependsOn=[{"name": "flux-system"}]),
        "apps/web.yaml": release("web", kind="GitRepository"),
    }
    write(here, files)
    assert main(["validate", "clusters", "--no-charts"]) == 0
    out, err = capsys.readouterr()
    assert [line.partition(": ")[0] for line in out.splitlines()] == ["clusters/flux-system/settings.yaml:1:1"]
    assert "2 Kustomizations, 1 release: 0 errors, 1 warning" in err


def test_the_directory_is_built_as_its_own_kustomization_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Variables in its own fields are replaced first; that only the cluster has some is a warning."""
    own: dict[str, Any] = {"postBuild": {"substitute": {"ENV": "prod", "NAME": "web-${ENV}"}}}
    web = kustomization("${NAME}", path="./apps/${ENV}")
    files = {
        "clusters/root.yaml": in_namespace("flux-system", "flux-system", "./clusters", **own),
        "clusters/apps.yaml": web,
        "apps/prod/web.yaml": release("web", kind="GitRepository"),
    }
    write(here, files)
    assert main(["graph", "clusters"]) == 0
    out = capsys.readouterr().out
    assert "HelmRelease/default/web" in out
    assert "Kustomization/default/web-prod" in out
    assert main(["validate", "clusters", "--no-charts"]) == 0
    assert "2 Kustomizations, 1 release: 0 errors, 0 warnings" in capsys.readouterr().err

    own["postBuild"]["substituteFrom"] = [{"kind": "Secret", "name": "cluster"}]
    more = web.replace('"prune": true', '"prune": true, "targetNamespace": "${ZONE}"')
    assert more != web
    write(here, {"clusters/root.yaml": in_namespace("flux-system", "flux-system", "./clusters", **own)})
    write(here, {"clusters/apps.yaml": more})
    assert main(["validate", "clusters", "--no-charts"]) == 0
    assert "Secret/flux-system/cluster" in capsys.readouterr().out

    del own["postBuild"]
    write(here, {"clusters/root.yaml": in_namespace("flux-system", "flux-system", "./clusters", **own)})
    assert main(["validate", "clusters", "--no-charts"]) == 1
    assert "which nothing here replaces" in capsys.readouterr().out


def test_who_depends_on_the_sync_itself_needs_no_kustomization_of_that_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``flux bootstrap`` and Flux's operator make it in the cluster."""
    apps = in_namespace("flux-system", "apps", "./apps", dependsOn=[{"name": "flux-system"}, {"name": "other"}])
    write(here, {"clusters/apps.yaml": apps, "apps/web.yaml": release("web", kind="GitRepository")})
    assert main(["validate", "clusters", "--no-charts"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "depends on Kustomization 'flux-system/other', which is not in the repository" in line


def test_what_cannot_be_built_whatever_the_variables_are_is_an_error(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {"substituteFrom": [{"kind": "Secret", "name": "settings"}]}
    write(
        here,
        {
            "clusters/apps.yaml": kustomization("apps", postBuild=variables),
            "clusters/more.yaml": kustomization("more", postBuild=variables),
            "apps/kustomization.yaml": "resources:\n  - https://git.example/crds.yaml\n",
            "more/web.yaml": release("web", kind="GitRepository").replace("5m", "${interval}"),
        },
    )
    assert main(["validate", "clusters", "--no-charts"]) == 1
    out, err = capsys.readouterr()
    assert "apps/kustomization.yaml:2:5: error: resources[0]: 'https://git.example/crds.yaml' is remote" in out
    assert "more/web.yaml:7:3: warning: spec.interval: is required" in out
    assert "1 error, " in err


def test_an_alert_about_kinds_of_others_is_applied_and_says_that_nothing_comes_of_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alert = {
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta1",
        "kind": "Alert",
        "metadata": {"name": "all", "namespace": "default"},
        "spec": {
            "providerRef": {"name": "chat"},
            "eventSources": [{"kind": "Kustomization", "name": "*"}, {"kind": "FluxInstance", "name": "*"}],
        },
    }
    provider = {**alert, "kind": "Provider", "metadata": {"name": "chat", "namespace": "default"}}
    provider["spec"] = {"type": "slack", "address": "https://chat.example/hook"}
    write(here, {"clusters/alert.yaml": json.dumps(alert), "clusters/provider.yaml": json.dumps(provider)})
    assert main(["validate", "clusters", "--no-charts"]) == 0
    out, err = capsys.readouterr()
    said = "spec.eventSources[1].kind: gitsync has no events about a FluxInstance"
    assert [line.partition("warning: ")[2] for line in out.splitlines()] == [said]
    assert "2 objects" in err


def generator(*artifacts: dict[str, Any], **spec: Any) -> str:
    sources = [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}]
    manifest = {
        "apiVersion": "source.extensions.fluxcd.io/v1beta1",
        "kind": "ArtifactGenerator",
        "metadata": {"name": "parts", "namespace": "default"},
        "spec": {"sources": sources, "artifacts": list(artifacts), **spec},
    }
    return json.dumps(manifest)


def test_what_an_artifact_generator_makes_is_built(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shape of Flux's own example: Kustomizations of parts of the repository, by paths inside of the parts."""
    apps = {"name": "apps", "copy": [{"from": "@repo/apps/prod/**", "to": "@artifact/prod/"}]}
    of_apps = {"sourceRef": {"kind": "ExternalArtifact", "name": "apps"}}
    files = {
        "clusters/parts.yaml": generator(apps),
        "clusters/apps.yaml": kustomization("apps", path="./prod", **of_apps),
        "apps/prod/web.yaml": release("web", kind="GitRepository"),
    }
    write(here, files)
    assert main(["validate", "clusters", "--no-charts"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "1 release: 0 errors, 0 warnings" in err
    assert main(["graph", "clusters"]) == 0
    assert "web" in capsys.readouterr().out

    write(here, {"clusters/apps.yaml": kustomization("apps", path="./production", **of_apps)})
    assert main(["validate", "clusters", "--no-charts"]) == 1
    assert "production: is no directory" in capsys.readouterr().out


def test_a_generator_may_copy_from_an_artifact_of_this_repository(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the name of the cluster's own source, as of a Kustomization."""
    sources = [{"alias": "repo", "kind": "OCIRepository", "name": "flux-system"}]
    apps = {"name": "apps", "copy": [{"from": "@repo/apps/**", "to": "@artifact/apps/"}]}
    of_apps: dict[str, Any] = {"sourceRef": {"kind": "ExternalArtifact", "name": "apps"}}
    files = {
        "clusters/parts.yaml": generator(apps, sources=sources),
        "clusters/apps.yaml": kustomization("apps", **of_apps),
        "apps/web.yaml": release("web", kind="GitRepository"),
    }
    write(here, files)
    assert main(["validate", "clusters", "--no-charts"]) == 0
    out, err = capsys.readouterr()
    assert (out, "1 release: 0 errors, 0 warnings" in err) == ("", True)


def of_artifact(name: str) -> dict[str, str]:
    return {"kind": "ExternalArtifact", "name": name}


def test_what_is_extracted_merged_and_made_of_directories_is_built(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        data = release("web", kind="GitRepository").encode()
        member = tarfile.TarInfo("web.yaml")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    extract = {"from": "@repo/apps/{app}/*.tgz", "to": "@artifact/", "strategy": "Extract"}
    merge = {"from": "@repo/apps/{app}/over.yaml", "to": "@artifact/web.yaml", "strategy": "Merge"}
    template = {"name": "app-{app}", "copy": [extract, merge]}
    files = {
        "clusters/parts.yaml": generator(template, pathPattern="@repo/apps/{app}"),
        "clusters/apps.yaml": kustomization("apps", path="./", sourceRef=of_artifact("app-web")),
        "apps/Web/over.yaml": "spec: {interval: 77m}",
    }
    write(here, files)
    (here / "apps" / "Web" / "release.tgz").write_bytes(packed.getvalue())
    assert main(["validate", "clusters", "--no-charts"]) == 0
    assert "1 release: 0 errors, 0 warnings" in capsys.readouterr().err
    write(here, {"clusters/apps.yaml": kustomization("apps", path="./", sourceRef=of_artifact("app-db"))})
    assert main(["validate", "clusters", "--no-charts"]) == 0
    assert "app-db is made by no ArtifactGenerator of this repository" in capsys.readouterr().out
    write(here, {**files, "apps/Web/over.yaml": "spec: {interval: none}"})
    assert main(["validate", "clusters", "--no-charts"]) == 1
    assert "spec.interval" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("artifact", "spec", "message"),
    [
        ({"copy": [{"from": "@repo/nothing/**", "to": "@artifact/"}]}, {}, "no file matches the pattern"),
        (
            {"copy": [{"from": "@repo/apps", "to": "@artifact/", "strategy": "Extract"}]},
            {},
            "copy[0] from '@repo/apps' to '@artifact/': 'apps' is a directory: only archives can be extracted",
        ),
        ({}, {"pathPattern": "@repo/{app"}, "spec.pathPattern: a brace in '{app' has no other one"),
        (
            {"name": "{x}"},
            {"pathPattern": "@repo/{app}"},
            "spec.artifacts[0].name: the capture {x} is not in pathPattern",
        ),
        (
            {},
            {"sources": [{"alias": "repo", "kind": "ExternalArtifact", "name": "apps"}]},
            "spec.sources: they lead in a circle: default/parts -> default/parts",
        ),
        ({"revision": "@other"}, {}, "spec.artifacts[0].revision: there is no source with the alias 'other'"),
    ],
)
def test_what_a_generator_cannot_make_is_an_error(
    here: Path, capsys: pytest.CaptureFixture[str], artifact: dict[str, Any], spec: dict[str, Any], message: str
) -> None:
    given = {"name": "apps", "copy": [{"from": "@repo/apps/**", "to": "@artifact/"}], **artifact}
    write(
        here,
        {
            "clusters/parts.yaml": generator(given, **spec),
            "clusters/apps.yaml": kustomization(
                "apps", path="./", sourceRef={"kind": "ExternalArtifact", "name": "apps"}
            ),
            "apps/web.yaml": release("web", kind="GitRepository"),
        },
    )
    assert main(["validate", "clusters", "--no-charts"]) == 1
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if " error: " in line]
    assert message in line


def test_what_its_own_git_repository_ignores_is_not_read_and_nobody_is_asked_for_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A GitRepository with the URL that the clone is of is the repository itself, by whatever name."""
    git(here, "remote", "add", "origin", "https://ci:token@git.invalid/home/ops.git")
    spec = {"interval": "1h", "url": "https://git.invalid/home/ops", "ignore": "/*\n!/clusters\n!/a\n*.off.yaml\n"}
    named = {"kind": "GitRepository", "name": "home"}
    source: dict[str, Any] = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "spec": spec}
    source["metadata"] = {"name": "home", "namespace": "default"}
    broken, plain = "kind: [", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"
    files = {
        "clusters/home.yaml": json.dumps(source),
        "clusters/root.yaml": kustomization("root", path="./clusters", sourceRef=named),
        "clusters/a.yaml": kustomization("a", sourceRef=named),
        "clusters/root.off.yaml": broken,
        "a/plain.yaml": plain,
        "a/more.off.yaml": broken,
    }
    write(here, files)
    assert main(["validate", "clusters"]) == 0
    assert "4 objects, 2 Kustomizations, 0 releases: 0 errors, 0 warnings" in capsys.readouterr().err
    write(here, {"clusters/b.yaml": kustomization("b", sourceRef=named), "b/plain.yaml": plain})
    assert main(["validate", "clusters"]) == 1
    assert "b: is left out by the ignore or sparseCheckout of the source" in capsys.readouterr().out
    git(here, "remote", "set-url", "origin", "git@git.invalid:home/other.git")
    assert main(["validate", "clusters"]) == 1
    assert "cannot reach https://git.invalid/home/ops" in capsys.readouterr().out


@pytest.mark.parametrize("ignore", ["/*\n!/clusters\n!/apps\n", "!/clusters\n!/apps\n"])
def test_what_sourceignore_leaves_out_and_its_own_git_repository_takes_in_is_read(
    here: Path, capsys: pytest.CaptureFixture[str], ignore: str
) -> None:
    """As with Flux, where spec.ignore has the last word: many have a .sourceignore that leaves out all of it, and
    a GitRepository that wants nothing else."""
    git(here, "remote", "add", "origin", "git@git.invalid:home/ops.git")
    spec = {"interval": "1h", "url": "https://git.invalid/home/ops", "ignore": ignore}
    named = {"kind": "GitRepository", "name": "home"}
    source = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "spec": spec}
    source["metadata"] = {"name": "home", "namespace": "default"}
    files = {
        ".sourceignore": "/clusters/\n/apps/\n",
        "clusters/home.yaml": json.dumps(source),
        "clusters/root.yaml": kustomization("root", path="./clusters", sourceRef=named),
        "clusters/apps.yaml": kustomization("apps", sourceRef=named),
        "apps/kustomization.yaml": "resources: [plain.yaml]\n",
        "apps/plain.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n",
    }
    write(here, files)
    assert main(["validate", "clusters"]) == 0
    out, err = capsys.readouterr()
    assert (out, "4 objects, 2 Kustomizations, 0 releases: 0 errors" in err) == ("", True), err


def test_a_directory_of_which_sourceignore_leaves_nothing_is_an_error(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, {".sourceignore": "/clusters/\n", "clusters/apps.yaml": kustomization("apps")})
    assert main(["validate", "clusters"]) == 1
    assert ".sourceignore leaves nothing of directory 'clusters'" in capsys.readouterr().err
    write(here, {".sourceignore": "/clusters/notes/\n", "clusters/notes/kept.yaml": "", "apps/README.md": ""})
    assert main(["validate", "clusters"]) == 0


def test_what_no_variable_has_a_part_in_is_an_error_whatever_is_not_known(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Secret that was encrypted where decryption was forgotten; an address without its scheme."""
    build = {"substituteFrom": [{"kind": "ConfigMap", "name": "vars", "optional": True}]}
    address = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: podinfo}\nspec:\n"
    files = {
        "clusters/apps.yaml": kustomization("apps", postBuild=build),
        "clusters/more.yaml": kustomization("more", postBuild=build),
        "apps/login.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nsops: {mac: x, version: 3.9.0}\n",
        "more/podinfo.yaml": address + "  interval: 5m\n  url: registry.example/podinfo\n",
        "more/varies.yaml": address.replace("podinfo", "varies") + "  interval: 5m\n  url: ${url}\n",
    }
    write(here, files)
    assert main(["validate", "clusters", "--no-charts"]) == 1
    said = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()]
    assert "apps/login.yaml:1:1: error: encrypted with SOPS, and nothing decrypts it here" in said
    assert "more/podinfo.yaml:6:3: error: spec.url: must be a URL that begins with oci://" in said
    assert [line.split(": ")[1] for line in said if "varies" in line] == ["warning"]


def test_a_key_that_is_given_twice_is_an_error_of_its_own_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """kustomize says neither of which file, nor the line in it."""
    twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata:\n  a: one\n  a: two\n"
    stays = twice.replace("web", "stays").replace("  a: two\n", "")
    write(here, {"clusters/apps.yaml": kustomization("apps"), "apps/web.yaml": twice, "apps/stays.yaml": stays})
    assert main(["validate", "clusters", "--no-charts"]) == 1
    assert capsys.readouterr().out == "apps/web.yaml:6:3: error: the key 'a' is given twice, first on line 5\n"


def test_a_dependency_that_is_not_there_is_said_with_its_probable_cause(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo; and a file that cannot be read, in which it may be."""
    git_repository = {"kind": "GitRepository"}
    files = {
        "clusters/infra.yaml": kustomization("infra"),
        "clusters/apps.yaml": kustomization("apps"),
        "infra/redis.yaml": release("redis", **git_repository),
        "apps/web.yaml": release("web", "rediss", **git_repository),
    }
    write(here, files)
    assert main(["validate", "clusters", "--no-charts"]) == 1
    absent = "error: depends on HelmRelease 'default/rediss', which is not in the repository"
    assert f"{absent} (did you mean 'default/redis'?)" in capsys.readouterr().out
    write(here, {"infra/redis.yaml": release("redis").replace("spec:", " spec:")})
    assert main(["validate", "clusters", "--no-charts"]) == 1
    assert f"{absent} (or it is in what cannot be read: infra/redis.yaml)" in capsys.readouterr().out
