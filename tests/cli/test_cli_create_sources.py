"""The flags of ``gitsync create source`` that Flux has, too: what they become, and what cannot be right."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitsync.api.checking.check import check
from tests.charts.certificates import Authority
from tests.cli.conftest import Gitsync
from tests.controlplane.cluster import Cluster

PASSWORD = "secret-of-the-test"
GIT = ("git", "app", "--url", "https://git.example/app")
SSH = ("git", "app", "--url", "ssh://git@git.example/app")
HELM = ("helm", "app", "--url", "https://charts.example")
OCI = ("oci", "app", "--url", "oci://registry.example/app")
CHART = ("chart", "app", "--source", "HelmRepository/apps", "--chart", "app")
BUCKET = ("bucket", "app", "--bucket-name", "apps", "--endpoint", "s3.example")
KEYLESS = ("--verify-issuer", "^https://issuer.example$", "--verify-subject", "^me$")


def exported(gitsync: Gitsync, *words: str) -> dict[str, Any]:
    said = gitsync("create", "source", *words, "--export")
    assert (said.code, said.err) == (0, "")
    manifest: dict[str, Any] = yaml.safe_load(said.out)
    assert check(manifest) == []
    return manifest


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        ((*GIT, "--provider", "azure"), {"provider": "azure"}),
        ((*GIT, "--fetch-timeout", "20s"), {"timeout": "20s"}),
        ((*BUCKET, "--fetch-timeout", "20s"), {"timeout": "20s"}),
        (("helm", "app", "--url", "oci://registry.example/charts", "--oci-provider", "gcp"), {"provider": "gcp"}),
        ((*OCI, "--provider", "aws", "--cert-ref", "certs"), {"provider": "aws", "certSecretRef": {"name": "certs"}}),
        (
            (*OCI, "--layer-selector-operation", "extract", "--ignore-paths", "/*,!/deploy"),
            {"ignore": "/*\n!/deploy"},
        ),
        (
            (*OCI, "--layer-selector", "application/x.tar+gzip:extract"),
            {"layerSelector": {"mediaType": "application/x.tar+gzip", "operation": "extract"}},
        ),
        (
            (*OCI, "--verify-provider", "cosign", "--verify-secret-ref", "keys"),
            {"verify": {"provider": "cosign", "secretRef": {"name": "keys"}}},
        ),
        (
            (*CHART, "--verify-provider", "cosign", *KEYLESS, "--verify-trusted-root-secret-ref", "root"),
            {
                "verify": {
                    "provider": "cosign",
                    "matchOIDCIdentity": [{"issuer": "^https://issuer.example$", "subject": "^me$"}],
                    "trustedRootSecretRef": {"name": "root"},
                }
            },
        ),
    ],
)
def test_what_flags_become(gitsync: Gitsync, words: tuple[str, ...], fields: dict[str, Any]) -> None:
    assert exported(gitsync, *words)["spec"].items() >= fields.items()


@pytest.mark.parametrize("words", [GIT, HELM, OCI, CHART, BUCKET])
def test_labels_are_put_on_every_kind(gitsync: Gitsync, words: tuple[str, ...]) -> None:
    made = exported(gitsync, *words, "--label", "team=ops,tier=1", "--label", "empty=")
    assert made["metadata"]["labels"] == {"team": "ops", "tier": "1", "empty": ""}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A CA, a client's certificate with its key, and what ssh needs."""
    authority = Authority()
    cert, key = authority.issue("me")
    texts = {"ca.crt": authority.pem, "tls.crt": cert, "tls.key": key, "id": "the-ssh-key\n", "known": "host key\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def kept(control_plane: Cluster, namespace: str, name: str) -> dict[str, str]:
    secret = control_plane.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_files_become_a_secret_and_are_in_no_output(
    gitsync: Gitsync, our_kinds: None, namespace: str, control_plane: Cluster, files: Path
) -> None:
    ca, cert, key = (str(files / name) for name in ("ca.crt", "tls.crt", "tls.key"))
    login = ("-u", "ann", "-p", PASSWORD)
    ssh = ("--private-key-file", str(files / "id"), "--known-hosts-file", str(files / "known"), "-p", PASSWORD)
    tls = ("--ca-file", ca, "--cert-file", cert, "--key-file", key)
    cases: dict[str, tuple[tuple[str, ...], dict[str, str], set[str]]] = {
        "both": ((*login, "--ca-file", ca), {"secretRef": "both"}, {"username", "password", "ca.crt"}),
        "ca": (("--ca-file", ca), {"secretRef": "ca"}, {"ca.crt"}),
        "ssh": (ssh, {"secretRef": "ssh"}, {"identity", "known_hosts", "password"}),
        "tls": (tls, {"certSecretRef": "tls"}, {"ca.crt", "tls.crt", "tls.key"}),
        "all": (
            (*tls, *login),
            {"secretRef": "all", "certSecretRef": "all"},
            {"ca.crt", "tls.crt", "tls.key", "username", "password"},
        ),
    }
    for name, (words, references, data) in cases.items():
        kind, url = ("helm", HELM[3]) if "tls" in words[1] or name in ("tls", "all") else ("git", GIT[3])
        asked = ("create", "source", kind, name, "--url", SSH[3] if name == "ssh" else url, *words, "-n", namespace)
        printed, made = gitsync(*asked, "--export"), gitsync(*asked, "--no-wait")
        assert made.code == 0, made.err
        spec = yaml.safe_load(printed.out)["spec"]
        assert {field: spec[field]["name"] for field in ("secretRef", "certSecretRef") if field in spec} == references
        assert kept(control_plane, namespace, name).keys() == data
        said = printed.out + printed.err + made.out + made.err
        assert not any(text in said for text in (PASSWORD, "the-ssh-key", (files / "tls.key").read_text()[40:80]))
    assert kept(control_plane, namespace, "ssh") == {
        "identity": "the-ssh-key\n",
        "known_hosts": "host key\n",
        "password": PASSWORD,
    }


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((*GIT, "--ca-file", "{}/ca.crt", "--secret-ref", "login"), "either a Secret, or what one is to hold"),
        ((*SSH, "--ca-file", "{}/ca.crt"), "is not for ssh://"),
        ((*SSH, "--private-key-file", "{}/id"), "--private-key-file and --known-hosts-file go together"),
        ((*SSH, "-p", PASSWORD), "opens a key, and none is given"),
        ((*GIT, "--private-key-file", "{}/id"), "a key is for ssh://"),
        ((*GIT, "--ca-file", "{}/nosuch"), "does not exist"),
        ((*GIT, "--provider", "aws"), "'aws' is not one of"),
        ((*GIT, "--fetch-timeout", "20"), "it is written as 30s, 5m or 1h30m"),
        ((*GIT, "--label", "team"), "is KEY=VALUE"),
        ((*HELM, "--cert-file", "{}/tls.crt"), "--cert-file and --key-file go together"),
        ((*HELM, "--ca-file", "{}/ca.crt", "--cert-secret-ref", "certs"), "either a Secret, or what one is to hold"),
        ((*HELM, "--ca-file", "{}/ca.crt", "--secret-ref", "app"), "either a Secret, or what one is to hold"),
        ((*HELM, "--oci-provider", "aws"), "is for oci://"),
        ((*OCI, "--ignore-paths", "*.md"), "has no effect on a layer that is copied"),
        ((*OCI, "--layer-selector", "application/x.tar+gzip"), "is not TYPE:OPERATION"),
        ((*OCI, "--verify-secret-ref", "keys"), "is needed, too"),
        ((*OCI, "--verify-provider", "notation"), "'notation' is not one of"),
        ((*OCI, "--verify-provider", "cosign", *KEYLESS[:2]), "--verify-issuer and --verify-subject go together"),
    ],
)
def test_flags_that_cannot_be_right_are_refused(
    gitsync: Gitsync, files: Path, words: tuple[str, ...], complaint: str
) -> None:
    said = gitsync("create", "source", *(word.format(files) for word in words), "--export")
    assert (said.code, said.out) == (2, "")
    assert complaint in " ".join(said.err.replace("│", " ").split())
