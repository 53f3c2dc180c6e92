"""Reads the Secrets that sources name: logins, certificates, proxies."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING

from yarl import URL

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import VERIFICATION_ERROR
from gitsync.api.sources import GitRepository
from gitsync.errors import (
    KubeConfigRefused,
    LoginRefused,
    NotFound,
    NotVerified,
    ServiceAccountMissing,
    SourceError,
    SourceUnavailable,
)
from gitsync.git import GitCredentials, GitTexts
from gitsync.http import Connection, redacted
from gitsync.logins import Account, GitHubApp, Logins
from gitsync.logins.githubapp import APP_ID
from gitsync.logs import keep_secret
from gitsync.oci import DockerConfig, Login
from gitsync.s3 import Keys

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: The keys of Secrets with docker configurations, and whether each is in the old form.
_DOCKER_KEYS = {".dockerconfigjson": False, ".dockercfg": True}
#: The keys whose values are no secrets, and may be in messages.
_NO_SECRETS = frozenset(
    {"username", "address", "ca.crt", "caFile", "tls.crt", "certFile", "known_hosts", "identity.pub"}
)
#: How a certificate begins.
_PEM = "-----BEGIN"
#: SOCKS proxies are for git alone, which uses curl.
_GIT_PROXIES = ("http", "https", "socks5")


async def read_secret(cluster: Cluster, namespace: str, name: str, url: str) -> dict[str, str]:
    """What a Secret holds, as text, kept out of what is said meanwhile. ``url`` is what it is needed for.

    Raises: SourceUnavailable when it is missing or holds no text; ApiError, ClusterUnavailable.
    """
    key = ObjectKey("", "Secret", namespace, name)
    try:
        data = (await cluster.get(key)).get("data") or {}
        found = {field: base64.b64decode(value).decode() for field, value in data.items()}
    except NotFound as error:
        message = f"Secret '{key.namespaced_name}' does not exist"
        raise SourceUnavailable(message, url=redacted(url), hint="create it") from error
    except (binascii.Error, UnicodeDecodeError) as error:
        raise SourceUnavailable(f"Secret '{key.namespaced_name}' holds what is no text", url=redacted(url)) from error
    keep_secret(frozenset(text.strip() for field, text in found.items() if field not in _NO_SECRETS))
    return found


async def trusted_keys(cluster: Cluster, namespace: str, name: str, what: str = "public keys") -> dict[str, bytes]:
    """The public keys in a Secret, by their names; ``what`` names what is verified with them, in messages.

    Raises: NotVerified when the Secret is missing or cannot be read; ApiError, ClusterUnavailable.
    """
    key = ObjectKey("", "Secret", namespace, name)
    try:
        data = (await cluster.get(key)).get("data") or {}
        return {field: base64.b64decode(value, validate=True) for field, value in data.items()}
    except NotFound:
        message = f"{what} secret error: Secret '{key.namespaced_name}' does not exist"
        raise NotVerified(message, reason=VERIFICATION_ERROR, hint="create it") from None
    except binascii.Error:
        message = f"{what} secret error: Secret '{key.namespaced_name}' cannot be read"
        raise NotVerified(message, reason=VERIFICATION_ERROR) from None


def docker_config(secret: dict[str, str], namespace: str, name: str) -> DockerConfig | None:
    """The logins in a Secret of type ``kubernetes.io/dockerconfigjson`` (or ``dockercfg``); None for another one.

    Raises: SourceError, which names no content.
    """
    for key, old in _DOCKER_KEYS.items():
        if key in secret:
            try:
                return DockerConfig.parse(secret[key].encode(), old=old)
            except SourceError as error:
                raise SourceError(f"Secret '{namespace}/{name}', {key}: {error.message}", hint=error.hint) from None
    return None


async def registry_login(
    cluster: Cluster, namespace: str, host: str, name: str, secret: str, account: str, url: str
) -> Login:
    """Who we are to a repository of a registry: by the Secret ``secret``, with a docker configuration or with username
    and password, then by the imagePullSecrets of the ServiceAccount ``account``, "" for none of them; nobody, where
    none of them names the registry.

    Raises: SourceUnavailable, SourceError, ApiError, ClusterUnavailable.
    """
    config = DockerConfig()
    if secret:
        data = await read_secret(cluster, namespace, secret, url)
        found = docker_config(data, namespace, secret)
        if found is None and ("username" in data or "password" in data):
            return Login(data.get("username", ""), data.get("password", ""))
        if found is None:
            raise SourceError(
                f"Secret '{namespace}/{secret}' holds no login for a registry",
                hint="it needs .dockerconfigjson (type kubernetes.io/dockerconfigjson), or username and password",
            )
        config = found
    for pull_secret in await _pull_secrets(cluster, namespace, account, url) if account else ():
        data = await read_secret(cluster, namespace, pull_secret, url)
        config = config.merged(docker_config(data, namespace, pull_secret) or DockerConfig())
    login = config.login(host, name) or Login()
    keep_secret(login.secrets)
    return login


async def cloud_account(cluster: Cluster, logins: Logins, namespace: str, name: str, url: str) -> Account | None:
    """The ServiceAccount by which a source logs in to a cloud: the one that it names, else (``name`` is "") the default
    for sources; None for that of the agent's pod.

    Raises: SourceUnavailable when it is missing; ApiError, ClusterUnavailable.
    """
    name = name or logins.default_account
    if not name:
        return None
    key, manifest = await _service_account(cluster, namespace, name, url)

    async def issue(audience: str) -> str:
        try:
            return (await cluster.request_token(key, [audience])).token
        except ServiceAccountMissing as error:
            raise SourceUnavailable(error.message, url=redacted(url), hint=error.hint) from error
        except KubeConfigRefused as error:
            raise LoginRefused(error.message, hint=error.hint) from error

    return Account(namespace, name, dict(manifest["metadata"].get("annotations") or {}), issue)


async def _service_account(cluster: Cluster, namespace: str, name: str, url: str) -> tuple[ObjectKey, Manifest]:
    key = ObjectKey("", "ServiceAccount", namespace, name)
    try:
        return key, await cluster.get(key)
    except NotFound as error:
        message = f"ServiceAccount '{key.namespaced_name}' does not exist"
        raise SourceUnavailable(message, url=redacted(url), hint="create it") from error


async def _pull_secrets(cluster: Cluster, namespace: str, account: str, url: str) -> list[str]:
    _, manifest = await _service_account(cluster, namespace, account, url)
    return [str(item["name"]) for item in manifest.get("imagePullSecrets") or () if item.get("name")]


async def connection(cluster: Cluster, namespace: str, certs: str, proxy: str, url: str) -> Connection:
    """How a server is reached: with the certificates in the Secret ``certs`` and through the proxy of the Secret
    ``proxy``, "" for none.

    Raises: SourceUnavailable, SourceError, ApiError, ClusterUnavailable.
    """
    tls = certificates(await read_secret(cluster, namespace, certs, url), f"{namespace}/{certs}") if certs else ()
    address = proxy_url(await read_secret(cluster, namespace, proxy, url), namespace, proxy) if proxy else ""
    return replace(Connection(*tls), proxy=address)


def certificates(secret: dict[str, str], name: str) -> tuple[str, str, str]:
    """``ca.crt``, ``tls.crt`` and ``tls.key`` of the Secret ``name``, "" for what it does not hold; as Flux has it, it
    has to hold one or the other.

    Raises: SourceError, which names no content.
    """
    ca, cert, key = (secret.get(field, "") for field in ("ca.crt", "tls.crt", "tls.key"))
    wrong = ""
    if not (ca or cert or key):
        wrong = "holds no certificates"
    elif bool(cert) != bool(key):
        wrong = "has one of tls.crt and tls.key without the other"
    for field, text in (("ca.crt", ca), ("tls.crt", cert)):
        if text and _PEM not in text:
            wrong = wrong or f"has no certificate in PEM in {field}"
    if wrong:
        hint = "certSecretRef needs PEM texts: tls.crt with tls.key, and/or ca.crt"
        raise SourceError(f"Secret '{name}' {wrong}", hint=hint)
    return ca, cert, key


async def bucket_keys(cluster: Cluster, namespace: str, name: str, url: str) -> Keys:
    """The access key for an S3 server in the Secret ``name``.

    Raises: SourceUnavailable, SourceError, ApiError, ClusterUnavailable.
    """
    secret = await read_secret(cluster, namespace, name, url)
    keys = Keys(secret.get("accesskey", "").strip(), secret.get("secretkey", "").strip())
    if not keys.access or not keys.secret:
        raise SourceError(
            f"Secret '{namespace}/{name}' holds no keys for a bucket",
            url=redacted(url),
            hint="it needs accesskey and secretkey",
        )
    return keys


async def git_login(cluster: Cluster, logins: Logins, repository: GitRepository) -> GitCredentials:
    """The login for a Git server, and the proxy: from the Secret that a GitRepository names, by a GitHub App that is in
    it, or by a login of Azure.

    Raises: SourceUnavailable, SourceError, LoginRefused, ApiError, ClusterUnavailable.
    """
    spec, namespace = repository.spec, repository.metadata.namespace
    name, proxy = (item.name if item else "" for item in (spec.secret_ref, spec.proxy_secret_ref))
    secret = await read_secret(cluster, namespace, name, spec.url) if name else {}
    address = ""
    if proxy:
        address = proxy_url(await read_secret(cluster, namespace, proxy, spec.url), namespace, proxy, _GIT_PROXIES)
    if spec.provider == "github":
        return await _app_login(logins, secret, f"{namespace}/{name}", address)
    given = git_credentials(secret, spec.url, f"{namespace}/{name}" if name else "", address)
    if spec.provider != "azure" or given.password or given.token:
        return given
    account = await cloud_account(cluster, logins, namespace, spec.service_account_name or "", spec.url)
    whose, lease = await logins.for_azure_devops(URL(spec.url).host or "", account)
    return replace(given, token=lease.login.password, bearer=True, lent_to=whose, until=lease.until)


async def _app_login(logins: Logins, secret: dict[str, str], name: str, proxy: str) -> GitCredentials:
    if APP_ID not in secret:
        raise SourceError(
            f"Secret '{name}' holds no GitHub App, and spec.provider is github",
            hint="it needs githubAppID, githubAppInstallationID or githubAppInstallationOwner, and githubAppPrivateKey",
        )
    ca = secret.get("ca.crt", "")
    if proxy and URL(proxy).scheme not in ("http", "https"):
        raise SourceError(
            f"Secret '{name}' is of a GitHub App, whose login is asked for through http proxies alone",
            hint="give a proxy of http or https in spec.proxySecretRef",
        )
    app = GitHubApp.read(secret, name, Connection(ca=ca, proxy=proxy))
    lease = await logins.for_app(app)
    login = lease.login
    return GitCredentials(
        login.username,
        login.password,
        proxy=proxy,
        texts=GitTexts(ca) if ca else None,
        lent_to=app.identity,
        until=lease.until,
    )


def git_credentials(secret: dict[str, str], url: str, name: str, proxy: str = "") -> GitCredentials:
    """The login for a Git server that the data of the Secret ``name`` holds, with the keys that Flux reads. Raises:
    SourceError."""

    def wrong(why: str, hint: str) -> SourceError:
        return SourceError(f"Secret '{name}' {why}" if name else why, url=redacted(url), hint=hint)

    if APP_ID in secret:
        raise wrong("is of a GitHub App, and spec.provider is not github", "set spec.provider to github")
    if url.startswith("ssh://"):
        needs = "ssh needs a Secret with identity (the private key) and known_hosts"
        if not name:
            raise wrong(f"there is no secretRef, and {needs}", "add spec.secretRef")
        if not secret.get("identity") or not secret.get("known_hosts"):
            raise wrong(f"holds no ssh login: {needs}", "add them to the Secret")
        texts = GitTexts(ssh_key=secret["identity"], known_hosts=secret["known_hosts"])
        return GitCredentials(passphrase=secret.get("password", "").strip(), texts=texts)
    cert, key = secret.get("tls.crt", secret.get("certFile", "")), secret.get("tls.key", secret.get("keyFile", ""))
    if bool(cert) != bool(key):
        raise wrong("has one of tls.crt and tls.key without the other", "add what is missing")
    password, bearer = secret.get("password", "").strip(), secret.get("bearerToken", "").strip()
    if password and bearer:
        raise wrong("has both a password and a bearerToken", "remove one of them")
    if bool(password) != bool(secret.get("username", "").strip()):
        raise wrong("has one of username and password without the other", "add what is missing")
    texts = GitTexts(secret.get("ca.crt") or secret.get("caFile", ""), cert, key)
    has_texts = texts != GitTexts()
    return GitCredentials(
        username=secret.get("username", "").strip(),
        password=password,
        token=bearer,
        bearer=bool(bearer),
        proxy=proxy,
        texts=texts if has_texts else None,
    )


def proxy_url(secret: dict[str, str], namespace: str, name: str, schemes: tuple[str, ...] = ("http", "https")) -> str:
    """The URL of the proxy that a Secret describes, with its credentials; of one of these ``schemes``.

    Raises: SourceError.
    """
    try:
        url = URL(secret.get("address", "").strip(), encoded=True)
        if url.scheme not in schemes or not url.host:
            raise ValueError
        if secret.get("username"):
            url = url.with_user(secret["username"]).with_password(secret.get("password") or None)
        return str(url)
    except ValueError:
        raise SourceError(
            f"Secret '{namespace}/{name}' names no proxy that can be used",
            hint="it needs address (http://HOST:PORT), and may have username and password",
        ) from None
