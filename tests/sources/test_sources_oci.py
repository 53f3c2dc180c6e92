"""OCIRepositories of a real cluster, with a real registry: what they stand for, and when they stand for nothing."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import jwt
import pytest

from gitsync.charts.source import archive_from_files
from gitsync.errors import SourceError, SourceMissing
from gitsync.oci import Login, Repository
from gitsync.sources.oci import ArtifactSpec, OciArtifact
from gitsync.sources.oci.artifacts import highest_tag
from gitsync.sources.oci.verification import CosignVerification
from gitsync.sources.secrets import certificates, docker_config, proxy_url
from gitsync.sources.store import Store
from tests.logins.clouds import CloudRegistry, Entra
from tests.logins.internet import connected
from tests.sources.ociworld import World, serving, world
from tests.sources.world import chart
from tests.until import until

__all__ = ["world"]


async def test_what_a_suspended_one_stands_for_stays_unless_it_asks_for_something_else(
    world: World, tmp_path: Path
) -> None:
    digest = await asyncio.to_thread(world.push, "1.0.0")
    built = f"1.0.0+{digest[7:19]}"

    async def is_built() -> bool:
        return await world.version() == built

    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await world.apply(ref={"tag": "1.0.0"})
        await until(is_built)
        await world.apply(ref={"tag": "1.0.0"}, suspend=True)
        await until(is_built)

        # A demand for a signature that nobody has checked, and another tag: no old artifact answers either.
        await world.apply(ref={"tag": "1.0.0"}, suspend=True, verify={"provider": "cosign"})
        await until(lambda: says(world, "a signature by anybody would count"))
        await world.apply(ref={"tag": "2.0.0"}, suspend=True)
        await until(lambda: says(world, "it is suspended, and was not read before"))

    await world.apply(ref={"tag": "1.0.0"}, suspend=True)
    async with AsyncExitStack() as stack:  # in another life nobody is asked either
        await serving(world, stack, tmp_path / "cache")
        await until(is_built)


async def test_the_login_of_a_cloud_is_that_of_the_service_account_that_is_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    layer = archive_from_files({"Chart.yaml": chart("app", "1.0.0").encode()})
    registry = CloudRegistry("00000000-0000-0000-0000-000000000000", bearer=True, layer=layer)
    entra = Entra(registry, {})
    hosts = ("acme.azurecr.io", "login.microsoftonline.com")
    async with connected(hosts, tmp_path, monkeypatch) as internet, AsyncExitStack() as stack:
        internet.services |= {hosts[0]: entra.acr, hosts[1]: entra.handle}
        await serving(world, stack, tmp_path / "cache")
        spec = {"url": "oci://acme.azurecr.io/app", "ref": {"tag": "1.0"}, "secretRef": None, "provider": "azure"}
        await world.apply(**spec, serviceAccountName="puller")
        await until(lambda: says(world, "spec.certSecretRef: provider azure sends a login of a cloud"))
        spec["certSecretRef"] = None
        await world.apply(**spec, serviceAccountName="puller")
        await until(lambda: says(world, "ServiceAccount '" + world.namespace + "/puller' does not exist"))
        annotations = {"azure.workload.identity/tenant-id": "t", "azure.workload.identity/client-id": "c"}
        metadata = {"name": "puller", "namespace": world.namespace, "annotations": annotations}
        await world.cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, manager="test")
        await world.ask("again")
        await until(lambda: says(world, "Microsoft Entra gives no login (401, invalid_client AADSTS700213)"))

        seen = entra.tokens[-1]
        claims = jwt.decode(seen, options={"verify_signature": False})
        assert claims["aud"] == ["api://AzureADTokenExchange"]
        assert claims["sub"] == f"system:serviceaccount:{world.namespace}:puller"
        entra.takes_any = True
        await world.ask("and again")
        await until(lambda: says(world, "1.0.0+"))
        said = str(await world.cluster.find(world.key)) + caplog.text
        assert not any(secret in said for secret in (*entra.tokens, *registry.passwords, "entra-token"))


async def says(world: World, words: str) -> bool:
    return words in await world.version()


async def test_who_has_no_login_gets_nothing_that_others_have_fetched(world: World, tmp_path: Path) -> None:
    await asyncio.to_thread(world.push, "1.0.0")
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await world.apply(ref={"tag": "1.0.0"})
        await until(lambda: says(world, "1.0.0+"))
        await world.apply(ref={"tag": "1.0.0"}, secretRef=None)
        await until(lambda: says(world, "access refused (401)"))


async def test_a_layer_that_is_copied_has_all_its_files_though_others_unpack_it_without_some(
    world: World, tmp_path: Path
) -> None:
    await asyncio.to_thread(world.push, "1.0.0")
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")

        async def has(name: str, operation: str) -> bool:
            assert world.sources is not None
            found = await world.cluster.find(world.key) or {}
            status, generation = found.get("status") or {}, found["metadata"]["generation"]
            if status.get("observedGeneration") != generation or "artifact" not in status:
                return False
            tree = (await world.sources.trees.tree_of(world.key)).tree
            names = {entry.path.rpartition("/")[2] for entry in await tree.entries()}
            assert "Chart.yaml" in names
            return (name in names) == (operation == "copy")

        for operation in ("extract", "copy", "extract"):
            await world.apply(ref={"tag": "1.0.0"}, layerSelector={"operation": operation})
            await until(lambda operation=operation: has("logo.jpg", operation))


async def test_a_secret_that_changes_wakes_the_source_that_names_it(world: World, tmp_path: Path) -> None:
    await asyncio.to_thread(world.push, "1.0.0")
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await world.apply(ref={"semver": "*"})
        await until(lambda: says(world, "1.0.0+"))
        await asyncio.to_thread(world.push, "1.1.0")
        await world.secret("certs", {"unrelated": "but of a Secret that is named"})
        await until(lambda: says(world, "1.1.0+"))


async def test_one_that_flux_has_served_before_can_be_deleted(world: World, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await world.apply(ref={"tag": "1.0.0"})
        await world.cluster.patch(world.key, {"metadata": {"finalizers": ["finalizers.fluxcd.io"]}}, manager="flux")
        await world.cluster.delete(world.key)

        async def is_gone() -> bool:
            return await world.cluster.find(world.key) is None

        await until(is_gone)


SPEC = ArtifactSpec(Repository("registry.example", "app"))


def test_no_field_can_pass_for_another_one_in_the_name_of_what_is_cached() -> None:
    """Or somebody's artifact that nobody verified would be found as one that was."""
    wanted = CosignVerification("Secret 'a/b'")
    verified = replace(SPEC, tag="1", verification=wanted)
    forged = replace(SPEC, tag="1", semver_filter="\0", media_type=wanted.id)
    assert len({verified.id, forged.id, replace(SPEC, tag="1").id}) == 3


TAGS = ["latest", "1", "1.2", "1.2.0", "v1.3.0", "1.4.0-rc.1", "2.0.0", "2.0.0-arm64", "1.2.0_build"]


@pytest.mark.parametrize(
    ("semver", "semver_filter", "tag"),
    [
        ("*", "", "2.0.0"),
        ("1.x", "", "v1.3.0"),
        (">=1.0.0-0 <2.0.0-0", "", "1.4.0-rc.1"),
        ("*-0", "-arm64$", "2.0.0-arm64"),
        ("1.2", "", "1.2.0"),
        ("<2", r"^\d", "1.2.0"),
    ],
)
def test_the_highest_tag_in_a_range_is_a_version_of_three_numbers(semver: str, semver_filter: str, tag: str) -> None:
    assert highest_tag(TAGS, ArtifactSpec(SPEC.repository, semver=semver, semver_filter=semver_filter)) == tag


@pytest.mark.parametrize(
    ("semver", "semver_filter", "kind", "words"),
    [
        (">=3", "", SourceMissing, "no tag is in the range '>=3'"),
        ("no range", "", SourceError, "ref.semver"),
        ("*", "(", SourceError, "ref.semverFilter is no regular expression"),
        ("*", "(?=a)", SourceError, "ref.semverFilter is no regular expression"),
    ],
)
def test_a_range_without_a_tag_is_said(
    semver: str, semver_filter: str, kind: type[SourceError], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(kind, match=words):
        highest_tag(TAGS, ArtifactSpec(SPEC.repository, semver=semver, semver_filter=semver_filter))
    assert capfd.readouterr().err == ""  # no line of a library between those of the log


def test_what_is_known_of_an_artifact_is_known_for_one_login_alone() -> None:
    mine = ArtifactSpec(Repository("registry.example", "app", Login("me", "s3cret")), tag="1")
    assert mine.id != ArtifactSpec(Repository("registry.example", "app"), tag="1").id
    assert mine.id != ArtifactSpec(mine.repository, tag="2").id
    assert "s3cret" not in repr(mine)


def test_an_artifact_is_read_as_it_was_kept_and_anything_else_as_none(tmp_path: Path) -> None:
    artifact = OciArtifact(f"1.0@sha256:{'a' * 64}", f"sha256:{'b' * 64}", 3, "any/type", {"key": "value"})
    store = Store(tmp_path)
    store.keep_data("artifacts", "one", artifact.data())
    assert OciArtifact.read(store.data("artifacts", "one")) == artifact
    assert (artifact.build, artifact.manifest) == ("a" * 12, f"sha256:{'a' * 64}")
    for text in (b"", b"[]", b'{"revision": 1}', b"\xff", b'{"revision": "", "digest": "", "size": "x"}'):
        (tmp_path / "artifacts" / "one.json").write_bytes(text)
        assert OciArtifact.read(store.data("artifacts", "one")) is None


def test_what_is_known_of_sources_is_kept_for_so_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitsync.sources.store.MAX_NOTES", 3)
    store = Store(tmp_path)
    for number in range(5):
        store.keep_data("artifacts", str(number), {})
    assert len(list((tmp_path / "artifacts").iterdir())) == 3


def test_a_proxys_secret_is_a_url_with_its_login() -> None:
    secret = {"address": "http://proxy.example:3128", "username": "me", "password": "a/b"}
    assert proxy_url(secret, "default", "proxy") == "http://me:a%2Fb@proxy.example:3128"
    for bad in ({}, {"address": "proxy.example"}, {"address": "socks5://proxy.example", "password": "s3cret"}):
        with pytest.raises(SourceError, match="Secret 'default/proxy' names no proxy") as caught:
            proxy_url(bad, "default", "proxy")
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ({}, "holds no certificates"),
        ({"caFile": "-----BEGIN CERTIFICATE-----"}, "holds no certificates"),
        ({"tls.crt": "-----BEGIN CERTIFICATE-----"}, "has one of tls.crt and tls.key without the other"),
        ({"tls.key": "s3cret"}, "has one of tls.crt and tls.key without the other"),
        ({"ca.crt": "s3cret"}, "has no certificate in PEM in ca.crt"),
    ],
)
def test_a_secret_without_certificates_is_named_and_never_passed_over(secret: dict[str, str], words: str) -> None:
    with pytest.raises(SourceError, match=f"Secret 'default/certs' {words}") as caught:
        certificates(secret, "default/certs")
    assert "s3cret" not in str(caught.value)


def test_a_secret_that_is_no_docker_configuration_is_named_without_its_content() -> None:
    assert docker_config({"username": "me"}, "default", "login") is None
    good = docker_config({".dockercfg": json.dumps({"r.example": {"username": "me"}})}, "default", "login")
    assert good is not None
    assert good.login("r.example", "app") is not None
    with pytest.raises(SourceError, match=r"Secret 'default/login', \.dockerconfigjson") as caught:
        docker_config({".dockerconfigjson": "s3cret"}, "default", "login")
    assert "s3cret" not in str(caught.value)
