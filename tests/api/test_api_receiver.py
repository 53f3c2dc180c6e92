from __future__ import annotations

from typing import Any

import pytest

from gitsync.api import check
from gitsync.api.receiver import DEFAULT_AUDIENCE, Receiver
from gitsync.errors import FieldErrors

RESOURCES = [{"kind": "GitRepository", "name": "flux-system"}]
PROVIDER = {"issuerURL": "https://issuer.example", "validations": [{"expression": "true", "message": "no"}]}


def receiver(version: str = "v1", **spec: Any) -> dict[str, Any]:
    given = {"type": "github", "resources": RESOURCES, "secretRef": {"name": "token"}, **spec}
    return {
        "apiVersion": f"notification.toolkit.fluxcd.io/{version}",
        "kind": "Receiver",
        "metadata": {"name": "push", "namespace": "apps"},
        "spec": {name: value for name, value in given.items() if value is not None},
    }


@pytest.mark.parametrize("version", ["v1", "v1beta2", "v1beta1"])
def test_a_receiver_of_any_version_is_read(version: str) -> None:
    found = Receiver.parse(receiver(version, events=["push"], interval="5m"))
    assert (found.spec.type, found.spec.events, found.spec.interval) == ("github", ("push",), 300)
    assert Receiver.parse(receiver()).spec.interval == 600
    assert found.defect == ""
    assert check(receiver(version)) == []


def test_what_is_named_is_of_the_receivers_namespace_and_of_the_kinds_group() -> None:
    resources = [
        {"kind": "Kustomization", "name": "apps"},
        {"kind": "HelmRelease", "name": "web", "namespace": "else", "apiVersion": "helm.toolkit.fluxcd.io/v2beta2"},
        {"kind": "ImageRepository", "name": "web"},
    ]
    found = Receiver.parse(receiver(resources=resources))
    keys = [found.key_of(item) for item in found.spec.resources]
    assert [(key.group.partition(".")[0], str(key)) for key in keys] == [
        ("kustomize", "Kustomization/apps/apps"),
        ("helm", "HelmRelease/else/web"),
        ("image", "ImageRepository/apps/web"),
    ]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"secretRef": None}, "secretRef is required when type is not generic-oidc"),
        ({"oidcProviders": [PROVIDER]}, "oidcProviders can only be set when type is generic-oidc"),
        ({"type": "generic-oidc"}, "generic-oidc receivers must define at least one oidcProvider"),
        ({"type": "generic-oidc", "oidcProviders": [PROVIDER]}, "secretRef cannot be set when type is generic-oidc"),
        ({"resources": [{"kind": "GitRepository", "name": "*"}]}, "the labels must be given in matchLabels"),
        (
            {"resources": [{"kind": "GitRepository", "name": "a", "apiVersion": "else.example/v1"}]},
            "spec.resources[0].apiVersion: GitRepository is of the group source.toolkit.fluxcd.io",
        ),
        (
            {"type": "generic-oidc", "oidcProviders": [PROVIDER, PROVIDER], "secretRef": None},
            "spec.oidcProviders names https://issuer.example twice",
        ),
    ],
)
def test_what_does_not_go_together_is_said(spec: dict[str, Any], said: str) -> None:
    assert said in Receiver.parse(receiver(**spec)).defect
    told = [error.message for error in check(receiver(**spec))]
    assert told == ([said] if "generic-oidc" in said else [])


def test_an_issuer_has_fluxs_audience_unless_it_names_one() -> None:
    provider = Receiver.parse(receiver(type="generic-oidc", secretRef=None, oidcProviders=[PROVIDER])).spec
    assert provider.oidc_providers[0].wanted_audience == DEFAULT_AUDIENCE == "notification-controller"


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "githubs"},
        {"resources": None},
        {"resources": [{"kind": "Secret", "name": "a"}]},
        {"type": "generic-oidc", "oidcProviders": [{"issuerURL": "https://a.example", "validations": []}]},
        {"type": "generic-oidc", "oidcProviders": [{**PROVIDER, "issuerURL": "ftp://a.example"}]},
    ],
)
def test_fields_that_cannot_be_used_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(FieldErrors):
        Receiver.parse(receiver(**spec))
    assert check(receiver(**spec)) != []
