"""Logins of clouds for their registries, against what the clouds document, on loopback; never against a cloud."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from gitsync.agent.parts import open_chart_repositories
from gitsync.api.identity import ObjectKey
from gitsync.api.sources import GitRepository, HelmRepository, OCIRepository
from gitsync.cluster import Cluster
from gitsync.errors import (
    ChartError,
    ChartRepositoryUnavailable,
    LoginRefused,
    NotFound,
    SourceError,
    SourceUnavailable,
)
from gitsync.http import HttpClient
from gitsync.logins import Account, Logins
from gitsync.logs import keeping_secrets, redact
from gitsync.oci import Registry, Repository
from gitsync.settings import load
from gitsync.sources.git import GitPlace
from gitsync.sources.helm.registry import RegistryCharts
from gitsync.sources.resolve.ociartifact import artifact_spec, plain_artifact_spec
from gitsync.sources.resolve.repositories import plain_spec, repository_spec
from gitsync.sources.secrets import git_login
from gitsync.sources.store import Store
from gitsync.sources.turns import Turns
from tests.clock import Clock
from tests.logins.clouds import CloudRegistry, Entra, Google, Sts
from tests.logins.internet import Internet, Service, connected, metadata_server

ECR, STS, ECR_API = (
    "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
    "sts.eu-west-1.amazonaws.com",
    "api.ecr.eu-west-1.amazonaws.com",
)
ACR, ENTRA = "acme.azurecr.io", "login.microsoftonline.com"
GAR, GOOGLE_STS, GOOGLE_IAM = "europe-docker.pkg.dev", "sts.googleapis.com", "iamcredentials.googleapis.com"
ROLE = "arn:aws:iam::123456789012:role/gitsync"
TOKEN = "token-of-the-cluster-for-this-pod"


@dataclass
class World:
    internet: Internet
    http: HttpClient
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)

    def logins(self, default_account: str = "") -> Logins:
        return Logins(self.http, self.environment, self.clock.monotonic, default_account)

    async def pull(self, logins: Logins, provider: str, host: str, account: Account | None = None) -> bytes:
        """The artifact's layer, as a source gets it."""
        repository = Repository(host, "app", lender=logins.for_registry(provider, host, account))
        registry = Registry(self.http)
        manifest = await registry.manifest(repository, "1.0")
        return (await registry.blob(repository, manifest.layer(), 1000)).read()

    def file(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(f"{text}\n")
        return str(path)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    hosts = (ECR, STS, ECR_API, ACR, ENTRA, GAR, GOOGLE_STS, GOOGLE_IAM)
    async with connected(hosts, tmp_path, monkeypatch) as internet:
        http = HttpClient()
        yield World(internet, http, tmp_path)
        await http.close()


def account(annotations: dict[str, str], asked: list[str] | None = None) -> Account:
    """``asked`` is for whom tokens of it were asked."""

    async def issue(audience: str) -> str:
        if asked is not None:
            asked.append(audience)
        return TOKEN

    return Account("apps", "puller", annotations, issue)


def answering(status: int = 200, body: bytes = b"", **headers: str) -> Service:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return answer


def aws(world: World) -> Sts:
    registry = CloudRegistry("AWS")
    sts = Sts(registry, {ROLE: TOKEN})
    world.internet.services |= {ECR: registry.handle, STS: sts.handle, ECR_API: sts.ecr}
    return sts


async def test_ecr_by_the_role_of_the_agents_pod(world: World) -> None:
    sts = aws(world)
    token = world.file("token", TOKEN)
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": token}
    logins = world.logins()
    assert await world.pull(logins, "aws", ECR) == sts.registry.layer
    assert await world.pull(logins, "aws", ECR) == sts.registry.layer
    assert (world.internet.times(STS), world.internet.times(ECR_API)) == (1, 1), "one login does for both"
    assert sts.forms[0]["RoleSessionName"] == "gitsync"


async def test_a_login_that_ends_is_asked_for_again_and_the_repository_stays_the_same(world: World) -> None:
    sts = aws(world)
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": world.file("token", TOKEN)}
    logins = world.logins()
    before = Repository(ECR, "app", lender=logins.for_registry("aws", ECR))
    await world.pull(logins, "aws", ECR)
    world.clock.advance(12 * 3600 - 200)
    assert await world.pull(logins, "aws", ECR) == sts.registry.layer
    assert world.internet.times(ECR_API) == 2
    after = Repository(ECR, "app", lender=logins.for_registry("aws", ECR))
    assert (before, before.id) == (after, after.id)


async def test_a_login_that_is_taken_back_before_its_end_is_asked_for_again(world: World) -> None:
    sts = aws(world)
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": world.file("token", TOKEN)}
    lender = world.logins().for_registry("aws", ECR)
    registry, repository = Registry(world.http), Repository(ECR, "app", lender=lender)
    await registry.manifest(repository, "1.0")
    sts.registry.passwords.append("another, which the registry takes from now on")
    await registry.manifest(repository, "1.0")
    assert world.internet.times(ECR_API) == 2


async def test_a_login_that_a_token_service_does_not_take_any_more_is_asked_for_again(world: World) -> None:
    registry = CloudRegistry("oauth2accesstoken", bearer=True)
    google = Google(registry)
    world.internet.services[GAR] = registry.handle
    async with metadata_server(world.internet, google.metadata) as host:
        world.environment["GCE_METADATA_HOST"] = host
        logins = world.logins()
        await world.pull(logins, "gcp", GAR)
        registry.passwords.append("another, which the registry takes from now on")
        with pytest.raises(SourceError, match="asked for a token"):
            await world.pull(logins, "gcp", GAR)
        assert await world.pull(logins, "gcp", GAR) == registry.layer


async def test_a_token_that_the_kubelet_has_renewed_is_read_anew(world: World) -> None:
    sts = aws(world)
    path = world.file("token", "an old one")
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": path}
    logins = world.logins()
    with pytest.raises(LoginRefused, match=r"AWS STS gives no login \(403, AccessDenied\)") as caught:
        await world.pull(logins, "aws", ECR)
    assert "trust policy" in caught.value.hint
    world.file("token", TOKEN)
    assert await world.pull(logins, "aws", ECR) == sts.registry.layer


async def test_ecr_in_the_name_of_a_service_account(world: World) -> None:
    sts = aws(world)
    asked: list[str] = []
    who = account({"eks.amazonaws.com/role-arn": ROLE}, asked)
    assert await world.pull(world.logins(), "aws", ECR, who) == sts.registry.layer
    assert asked == ["sts.amazonaws.com"]
    assert sts.forms[0]["RoleSessionName"] == "puller.apps.eu-west-1.gitsync"


async def test_ecr_by_eks_pod_identity_past_every_proxy(world: World) -> None:
    sts = aws(world)

    async def pod_identity(request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == TOKEN
        found = {"AccessKeyId": "ASgeIAIOSFODNN7EXAMPLE", "SecretAccessKey": sts.secret, "Token": sts.session}
        return web.json_response(found)

    async with metadata_server(world.internet, pod_identity) as host:
        world.environment |= {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{host}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": world.file("token", TOKEN),
        }
        assert await world.pull(world.logins(), "aws", ECR) == sts.registry.layer


async def test_acr_by_the_workload_identity_of_the_agents_pod(world: World) -> None:
    registry = CloudRegistry("00000000-0000-0000-0000-000000000000", bearer=True)
    entra = Entra(registry, {("tenant-1", "client-1"): TOKEN})
    world.internet.services |= {ACR: entra.acr, ENTRA: entra.handle}
    world.environment |= {
        "AZURE_TENANT_ID": "tenant-1",
        "AZURE_CLIENT_ID": "client-1",
        "AZURE_FEDERATED_TOKEN_FILE": world.file("token", TOKEN),
        "AZURE_AUTHORITY_HOST": f"https://{ENTRA}/",
    }
    logins = world.logins()
    assert await world.pull(logins, "azure", ACR) == registry.layer
    await world.pull(logins, "azure", ACR)
    assert (entra.scopes, world.internet.times("/oauth2/exchange")) == (["https://management.azure.com/.default"], 1)
    world.clock.advance(3 * 3600)
    await world.pull(logins, "azure", ACR)
    assert world.internet.times("/oauth2/exchange") == 2


async def test_acr_in_the_name_of_a_service_account(world: World) -> None:
    registry = CloudRegistry("00000000-0000-0000-0000-000000000000", bearer=True)
    entra = Entra(registry, {("tenant-2", "client-2"): TOKEN})
    world.internet.services |= {ACR: entra.acr, ENTRA: entra.handle}
    asked: list[str] = []
    annotations = {"azure.workload.identity/tenant-id": "tenant-2", "azure.workload.identity/client-id": "client-2"}
    who = account(annotations, asked)
    assert await world.pull(world.logins(), "azure", ACR, who) == registry.layer
    assert asked == ["api://AzureADTokenExchange"]


async def test_gar_by_the_metadata_server_past_every_proxy(world: World) -> None:
    registry = CloudRegistry("oauth2accesstoken", bearer=True)
    google = Google(registry)
    world.internet.services[GAR] = registry.handle
    async with metadata_server(world.internet, google.metadata) as host:
        world.environment["GCE_METADATA_HOST"] = host
        logins = world.logins()
        assert await world.pull(logins, "gcp", GAR) == registry.layer
        await world.pull(logins, "gcp", GAR)
        assert world.internet.times("/service-accounts/default/token") == 1
        world.clock.advance(3599 - 299)
        await world.pull(logins, "gcp", GAR)
        assert world.internet.times("/service-accounts/default/token") == 2


@pytest.mark.parametrize("email", ["", "puller@acme.iam.gserviceaccount.com"])
async def test_gar_in_the_name_of_a_service_account_of_gke(world: World, email: str) -> None:
    registry = CloudRegistry("oauth2accesstoken", bearer=True)
    google = Google(registry, TOKEN)
    world.internet.services |= {GAR: registry.handle, GOOGLE_STS: google.sts, GOOGLE_IAM: google.iam}
    asked: list[str] = []
    annotations = {"iam.gke.io/gcp-service-account": email} if email else {}
    async with metadata_server(world.internet, google.metadata) as host:
        world.environment["GCE_METADATA_HOST"] = host
        who = account(annotations, asked)
        assert await world.pull(world.logins(), "gcp", GAR, who) == registry.layer
    assert asked == ["acme.svc.id.goog"]
    cluster = "https://container.googleapis.com/v1/projects/acme/locations/europe-west1/clusters/prod"
    assert google.audiences == [f"identitynamespace:acme.svc.id.goog:{cluster}"]
    path = "/v1/projects/-/serviceAccounts/puller@acme.iam.gserviceaccount.com:generateAccessToken"
    assert world.internet.times(path) == bool(email)


async def test_gar_in_the_name_of_a_service_account_of_another_cluster(world: World) -> None:
    registry = CloudRegistry("oauth2accesstoken", bearer=True)
    google = Google(registry, TOKEN)
    world.internet.services |= {GAR: registry.handle, GOOGLE_STS: google.sts}
    asked: list[str] = []
    provider = "projects/12345/locations/global/workloadIdentityPools/pool/providers/kind"
    annotations = {"gcp.auth.fluxcd.io/workload-identity-provider": provider}
    who = account(annotations, asked)
    assert await world.pull(world.logins(), "gcp", GAR, who) == registry.layer
    assert asked == google.audiences == [f"//iam.googleapis.com/{provider}"]


async def test_a_helm_repository_of_type_oci_logs_in_by_its_provider(world: World) -> None:
    sts = aws(world)
    sts.registry.media_type = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": world.file("token", TOKEN)}
    source = HelmRepository.parse(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "HelmRepository",
            "metadata": {"name": "charts", "namespace": "apps"},
            "spec": {"type": "oci", "url": f"oci://{ECR}/charts", "provider": "aws"},
        }
    )
    logins = world.logins()
    spec, again = [await repository_spec(cast(Cluster, Nobody()), source, plain_spec(source), logins) for _ in range(2)]
    assert (spec, spec.id) == (again, again.id)
    charts = RegistryCharts(Registry(world.http), Store(world.directory / "store"), Turns(), 1000)
    entry = await charts.resolve(spec, "app", "1.0.0")
    assert (await charts.download(spec, "app", entry)).read() == sts.registry.layer
    await charts.close()


class Tenants:
    """Stands for a cluster that has ServiceAccounts, and issues tokens of them: ``asked`` says of which."""

    def __init__(self, annotations: dict[str, str], namespace: str = "apps") -> None:
        self.annotations = annotations
        self.namespace = namespace
        self.asked: list[str] = []

    async def get(self, key: ObjectKey) -> dict[str, Any]:
        if key.namespace != self.namespace:
            raise NotFound("not found", key=key, status=404)
        return {"metadata": {"name": key.name, "namespace": key.namespace, "annotations": self.annotations}}

    async def request_token(self, key: ObjectKey, audiences: list[str]) -> SimpleNamespace:
        self.asked.append(f"{key.namespaced_name} for {' '.join(audiences)}")
        return SimpleNamespace(token=TOKEN)


@pytest.mark.parametrize("kind", ["HelmRepository", "OCIRepository", "GitRepository"])
async def test_with_a_default_account_no_source_logs_in_as_the_agents_pod(world: World, kind: str) -> None:
    """Who may write sources in a namespace has what its own account may, and not what the agent's pod may."""
    sts, entra = aws(world), Entra(CloudRegistry(""), {("tenant-1", "client-1"): TOKEN})
    sts.registry.media_type = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    world.internet.services[ENTRA] = entra.handle
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": world.file("token", TOKEN)}
    world.environment |= {"AZURE_TENANT_ID": "of-the-pod", "AZURE_CLIENT_ID": "of-the-pod"}
    world.environment["AZURE_FEDERATED_TOKEN_FILE"] = world.file("azure", TOKEN)
    annotations = {
        "eks.amazonaws.com/role-arn": ROLE,
        "azure.workload.identity/tenant-id": "tenant-1",
        "azure.workload.identity/client-id": "client-1",
    }
    tenants, logins = Tenants(annotations), world.logins("tenant")

    async def read(namespace: str = "apps", cluster: Tenants = tenants) -> None:
        await log_in(kind, namespace, cast(Cluster, cluster), logins)

    await read()
    audience = "api://AzureADTokenExchange" if kind == "GitRepository" else "sts.amazonaws.com"
    assert tenants.asked == [f"apps/tenant for {audience}"]
    if kind != "GitRepository":
        assert sts.forms[0]["RoleSessionName"].startswith("tenant.apps.")
    seen = len(world.internet.seen)
    with pytest.raises((SourceUnavailable, ChartRepositoryUnavailable), match="ServiceAccount 'other/tenant' does not"):
        await read("other")
    with pytest.raises((LoginRefused, ChartRepositoryUnavailable, ChartError), match="annotat"):
        await read(cluster=Tenants({}))
    assert len(world.internet.seen) == seen, "the identity of the pod is shown to nobody"


async def log_in(kind: str, namespace: str, cluster: Cluster, logins: Logins) -> None:
    """Log in as a source without serviceAccountName does."""
    if kind == "GitRepository":
        await git_login(cluster, logins, git_repository("https://dev.azure.com/acme/web/_git/fleet", namespace))
        return
    manifest: dict[str, Any] = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": kind,
        "metadata": {"name": "charts", "namespace": namespace},
        "spec": {"url": f"oci://{ECR}/app", "provider": "aws", "interval": "1h"},
    }
    if kind == "HelmRepository":
        manifest["spec"]["type"] = "oci"
        helm = HelmRepository.parse(manifest)
        spec = await repository_spec(cluster, helm, plain_spec(helm), logins)
        lender = spec.lender
    else:
        oci = OCIRepository.parse(manifest)
        lender = (await artifact_spec(cluster, oci, plain_artifact_spec(oci), logins)).repository.lender
    assert lender is not None
    await lender.lend()


async def test_the_settings_say_which_account_that_is(tmp_path: Path) -> None:
    settings = load({"default_service_account": "tenant", "state_dir": tmp_path})
    async with open_chart_repositories(settings) as repositories:
        assert repositories.logins.default_account == "tenant"


class Nobody:
    """Stands for a cluster that has nothing to be asked for."""


def git_repository(url: str, namespace: str = "apps") -> GitRepository:
    return GitRepository.parse(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "fleet", "namespace": namespace},
            "spec": {"url": url, "interval": "1h", "provider": "azure"},
        }
    )


async def test_azure_devops_by_the_workload_identity_of_the_agents_pod(world: World) -> None:
    entra = Entra(CloudRegistry(""), {("tenant-1", "client-1"): TOKEN})
    world.internet.services[ENTRA] = entra.handle
    world.environment |= {
        "AZURE_TENANT_ID": "tenant-1",
        "AZURE_CLIENT_ID": "client-1",
        "AZURE_FEDERATED_TOKEN_FILE": world.file("token", TOKEN),
    }
    logins, cluster = world.logins(), cast(Cluster, Nobody())
    found = await git_login(cluster, logins, git_repository("https://dev.azure.com/acme/web/_git/fleet"))
    assert (found.token, found.bearer) == ("entra-token", True)
    assert entra.scopes == ["499b84ac-1321-427f-aa17-267ca6975798/.default"]
    again = GitPlace("https://dev.azure.com/fleet", replace(found, token="the next", until=found.until + 1))
    assert again == GitPlace("https://dev.azure.com/fleet", found), "its mirror stays the same"
    with pytest.raises(SourceError, match="is no host of Azure DevOps"):
        await git_login(cluster, logins, git_repository("https://evil.example/fleet"))


@pytest.mark.parametrize(
    ("provider", "host"),
    [
        ("aws", "evil.example"),
        ("aws", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example"),
        ("aws", "evil.example.123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
        ("aws", f"{ECR}:8443"),
        ("azure", "azurecr.io.evil.example"),
        ("azure", ECR),
        ("gcp", "evilgcr.io"),
        ("gcp", "europe-docker.pkg.dev.evil.example"),
    ],
)
async def test_no_other_server_is_shown_the_login_of_a_cloud(world: World, provider: str, host: str) -> None:
    with pytest.raises(SourceError, match="is none of its registries, and would be shown its login"):
        world.logins().for_registry(provider, host)
    assert not world.internet.seen


@pytest.mark.parametrize(
    ("provider", "host", "words"),
    [
        ("aws", ECR, "nothing says who the agent is to AWS"),
        ("azure", ACR, "nothing says who the agent is to Azure"),
        ("gcp", GAR, "nothing says who the agent is to Google"),
    ],
)
async def test_an_agent_without_an_identity_says_so(world: World, provider: str, host: str, words: str) -> None:
    world.internet.services[host] = CloudRegistry("x").handle
    world.environment["GCE_METADATA_HOST"] = "127.0.0.1:9"
    with pytest.raises(LoginRefused, match=words) as caught:
        await world.pull(world.logins(), provider, host)
    assert "spec.serviceAccountName" in caught.value.hint


@pytest.mark.parametrize(
    ("provider", "host", "annotation", "wrong"),
    [
        ("aws", ECR, "eks.amazonaws.com/role-arn", "arn:aws:s3:::bucket"),
        ("azure", ACR, "azure.workload.identity/tenant-id", "../other?x="),
        ("gcp", GAR, "iam.gke.io/gcp-service-account", "a/b@example"),
    ],
)
async def test_an_account_whose_annotation_cannot_be_right_is_refused(
    world: World, provider: str, host: str, annotation: str, wrong: str
) -> None:
    who = account({annotation: wrong})
    with pytest.raises(LoginRefused, match=f"ServiceAccount 'apps/puller': its annotation {annotation}"):
        world.logins().for_registry(provider, host, who)
    if provider != "gcp":
        nobody = account({})
        with pytest.raises(LoginRefused, match=f"has no annotation {annotation}"):
            world.logins().for_registry(provider, host, nobody)


async def test_what_a_cloud_says_is_told_without_what_was_sent(world: World) -> None:
    registry = CloudRegistry("x", bearer=True)
    entra = Entra(registry, {})
    world.internet.services |= {ACR: entra.acr, ENTRA: entra.handle}
    annotations = {"azure.workload.identity/tenant-id": "t", "azure.workload.identity/client-id": "c"}
    who = account(annotations)
    with keeping_secrets():
        with pytest.raises(LoginRefused) as caught:
            await world.pull(world.logins(), "azure", ACR, who)
        assert caught.value.message == "Microsoft Entra gives no login (401, invalid_client AADSTS700213)"
        assert TOKEN not in redact(f"it was {TOKEN}")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_cloud_that_is_away_is_asked_again_later(world: World, status: int) -> None:
    sts = aws(world)
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": world.file("token", TOKEN)}
    world.internet.services[STS] = answering(status)
    logins = world.logins()
    with pytest.raises(SourceUnavailable, match=str(status)):
        await world.pull(logins, "aws", ECR)
    world.internet.services[STS] = sts.handle
    assert await world.pull(logins, "aws", ECR) == sts.registry.layer


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"authorizationData": []}', b'{"authorizationData": [{}]}', b"\xff" * 99]
)
async def test_an_answer_that_is_none_is_said(world: World, body: bytes) -> None:
    aws(world)
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": world.file("token", TOKEN)}
    world.internet.services[ECR_API] = answering(body=body)
    with pytest.raises(LoginRefused, match="ECR answers without a login that can be used"):
        await world.pull(world.logins(), "aws", ECR)


async def test_a_redirect_is_not_followed(world: World) -> None:
    aws(world)
    world.environment |= {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": world.file("token", TOKEN)}
    world.internet.services[STS] = answering(307, Location=f"https://{ACR}/")
    with pytest.raises(LoginRefused, match="AWS STS gives no login"):
        await world.pull(world.logins(), "aws", ECR)
    assert not world.internet.times(ACR)
