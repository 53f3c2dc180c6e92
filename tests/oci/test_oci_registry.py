"""A real registry (distribution), filled by helm: what it holds is found, verified, and refused where it is damaged."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.errors import ArtifactError, SourceError, SourceMissing, SourceUnavailable
from gitsync.http import Connection
from gitsync.oci import Login, Registry, Repository
from tests.charts.certificates import Authority
from tests.charts.servers import serving
from tests.controlplane import binaries
from tests.controlplane import registry as real
from tests.oci.conftest import Package, at
from tests.oci.tokenservice import TokenService

CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


async def test_what_helm_pushes_is_found_by_tag_and_by_digest(
    client: Registry, registry: real.Registry, package: Package
) -> None:
    archive = package("found", "1.0.0")
    digest = registry.push(archive, "found")
    repository = at(registry, "found/found")

    assert await client.resolve(repository, "1.0.0") == digest
    by_tag, by_digest = await client.manifest(repository, "1.0.0"), await client.manifest(repository, digest)
    assert by_tag == by_digest
    assert by_tag.digest == digest
    layer = by_tag.layer(CHART)
    assert layer == by_tag.layer()
    assert (await client.blob(repository, layer, 1_000_000)).read() == archive.read_bytes()
    assert by_tag.annotations["org.opencontainers.image.version"] == "1.0.0"


async def test_all_tags_are_found_over_several_pages(
    client: Registry, registry: real.Registry, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {f"1.0.{number}" for number in range(5)}
    for version in versions:
        registry.push(package("paged", version), "paged")
    monkeypatch.setattr("gitsync.oci.registry._PAGE", "2")

    assert set(await client.tags(at(registry, "paged/paged"))) == versions
    assert registry.log.count("tags/list?last=") >= 2


async def test_a_user_with_another_password_is_refused_in_words_without_it(
    client: Registry, registry: real.Registry, package: Package
) -> None:
    registry.push(package("refused", "1.0.0"), "refused")
    wrong = "not-the-pass-word"
    with pytest.raises(SourceError, match="access refused") as caught:
        await client.resolve(at(registry, "refused/refused", wrong), "1.0.0")
    assert "secretRef" in caught.value.hint
    assert caught.value.status == 401
    assert wrong not in repr(caught.value)
    with pytest.raises(SourceError, match="a user and password are asked for, and there are none"):
        await client.tags(replace(at(registry, "refused/refused"), login=Login()))


async def test_what_is_not_there_is_missing(client: Registry, registry: real.Registry, package: Package) -> None:
    registry.push(package("there", "1.0.0"), "there")
    with pytest.raises(SourceMissing, match="not found"):
        await client.manifest(at(registry, "there/there"), "9.9.9")
    with pytest.raises(SourceMissing, match="NAME_UNKNOWN"):
        await client.tags(at(registry, "there/other"))


async def test_a_certificate_of_an_unknown_authority_is_not_taken(client: Registry, registry: real.Registry) -> None:
    repository = replace(at(registry, "any/any"), connection=Connection(ca=Authority().pem))
    with pytest.raises(SourceUnavailable, match="TLS failed") as caught:
        await client.tags(repository)
    assert "certSecretRef" in caught.value.hint


async def test_a_damaged_layer_is_not_taken(client: Registry, registry: real.Registry, package: Package) -> None:
    digest = registry.push(package("damaged", "1.0.0"), "damaged")
    repository = at(registry, "damaged/damaged")
    layer = (await client.manifest(repository, digest)).layer()
    file = registry.blob(layer.digest)
    data = file.read_bytes()

    file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(ArtifactError, match="is not what its digest says"):
        await client.blob(repository, layer, 1_000_000)
    file.write_bytes(data[:-1])
    with pytest.raises(ArtifactError, match="bytes and not the"):
        await client.blob(repository, layer, 1_000_000)
    with pytest.raises(ArtifactError, match="larger than"):
        await client.blob(repository, layer, layer.size - 1)


async def test_a_damaged_manifest_is_not_taken(client: Registry, registry: real.Registry, package: Package) -> None:
    digest = registry.push(package("forged", "1.0.0"), "forged")
    file = registry.blob(digest)
    file.write_bytes(file.read_bytes().replace(b"1.0.0", b"1.0.1"))
    with pytest.raises(ArtifactError, match="the manifest is not what its digest says"):
        await client.manifest(at(registry, "forged/forged"), digest)


async def test_a_client_certificate_gets_in(client: Registry, tmp_path: Path) -> None:
    authority = Authority()
    (tmp_path / "clients.pem").write_text(authority.pem)
    registry = real.Registry(
        tmp_path / "registry",
        binaries.ensure(binaries.REGISTRY),
        binaries.ensure(binaries.HELM),
        client_ca=tmp_path / "clients.pem",
    ).start()
    try:
        repository = at(registry, "mutual/any")
        with pytest.raises(SourceUnavailable):
            await client.tags(repository)
        with pytest.raises(SourceMissing):
            await client.tags(replace(repository, connection=Connection(registry.ca, *authority.issue("a client"))))
    finally:
        registry.stop()


async def test_plain_http_is_spoken_only_to_an_insecure_repository(
    client: Registry, tmp_path: Path, package: Package
) -> None:
    registry = real.Registry(
        tmp_path / "registry", binaries.ensure(binaries.REGISTRY), binaries.ensure(binaries.HELM), tls=False
    ).start()
    try:
        registry.push(package("plain", "1.0.0"), "plain")
        repository = at(registry, "plain/plain")
        with pytest.raises(SourceUnavailable):
            await client.tags(repository)
        assert await client.tags(replace(repository, insecure=True)) == ["1.0.0"]
    finally:
        registry.stop()


async def test_a_registry_with_a_token_service_is_served_with_one_token_for_several_requests(
    client: Registry, registry: real.Registry, tmp_path: Path, package: Package
) -> None:
    # Another registry over the same storage: helm pushes to the one with a password.
    archive = package("tokens", "1.0.0")
    registry.push(archive, "tokens")
    service = TokenService(tmp_path, real.USER, real.PASSWORD)
    authority = Authority()
    async with serving(service.handle, authority.server_context(tmp_path)) as server:
        second = real.Registry(
            tmp_path / "second",
            binaries.ensure(binaries.REGISTRY),
            binaries.ensure(binaries.HELM),
            token=service.configuration(f"{server.url}/token"),
            storage=registry.storage,
        )
        await asyncio.to_thread(second.start)
        try:
            both = Connection(ca=second.ca + authority.pem)
            repository = replace(at(second, "tokens/tokens"), connection=both)
            assert await client.tags(repository) == ["1.0.0"]
            layer = (await client.manifest(repository, "1.0.0")).layer()
            data = (await client.blob(repository, layer, 1_000_000)).read()
            assert hashlib.sha256(data).digest() == hashlib.sha256(archive.read_bytes()).digest()
            assert service.given == 1
            with pytest.raises(SourceError, match="asked for a token"):
                await client.tags(replace(repository, login=Login(real.USER, "wrong")))
        finally:
            second.stop()


def test_a_repository_shows_no_credentials() -> None:
    repository = Repository("registry.example", "app", Login("me", "s3cret"), Connection(key="s3cret", proxy="s3cret"))
    assert "s3cret" not in repr((repository, repository.login, repository.connection))
