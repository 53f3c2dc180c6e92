"""Providers, with what their Secrets hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from gitsync.api.notification import SERVED_TYPES, Alert, Provider
from gitsync.errors import YamlError
from gitsync.http import Connection
from gitsync.kubeyaml import load
from gitsync.logins import GitHubApp, Logins
from gitsync.logins.githubapp import APP_ID
from gitsync.logs import keep_secret
from gitsync.notify.notice import Notice
from gitsync.notify.target import Target
from gitsync.sources.secrets import connection, proxy_url, read_secret

if TYPE_CHECKING:
    from gitsync.cel.expressions import Expressions
    from gitsync.cluster import Cluster

#: Seconds that a service may take to answer, at most and where the Provider does not say.
LONGEST_TIMEOUT, TIMEOUT = 60.0, 15.0
MOST_HEADERS = 50
#: Characters of a part of an address from which on it may be a secret, and what stands between parts.
_SHORTEST, _SEPARATORS = 6, re.compile(r"[/?&=#]")
#: The type whose channel is the key of an integration.
PAGERDUTY = "pagerduty"
#: The type that may log in as an App.
GITHUB = "github"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8000}")
#: Headers that are the request's own.
_OWN = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def refused(provider: Provider) -> str:
    """Why nothing is sent to a Provider of this type; "" for one that is served."""
    kind = provider.spec.type
    return "" if kind in SERVED_TYPES else f"gitsync does not serve Providers of type {kind} yet: nothing is sent to it"


async def target_of(cluster: Cluster, logins: Logins, provider: Provider) -> Target:
    """Where to send to. What is secret of it is kept out of what is said meanwhile (``keeping_secrets``).

    Raises: SourceUnavailable, SourceError, LoginRefused, ApiError, ClusterUnavailable.
    """
    spec, namespace = provider.spec, provider.metadata.namespace
    about = f"Provider {provider.key.namespaced_name}"  # a URL would tell where a webhook is
    secret = await read_secret(cluster, namespace, spec.secret_ref.name, about) if spec.secret_ref else {}
    certs = spec.cert_secret_ref.name if spec.cert_secret_ref else ""
    proxy = spec.proxy_secret_ref.name if spec.proxy_secret_ref else ""
    reached = await connection(cluster, namespace, certs, proxy, about)
    address = secret.get("address", "").strip() or spec.address
    parts = _secrets_in(address, *((spec.channel,) if spec.type == PAGERDUTY else ()))
    # What the object itself is called is none: a Provider is called after its repository often enough.
    keep_secret(parts - {provider.metadata.name, namespace})
    target = Target(
        key=provider.key,
        type=spec.type,
        address=address,
        uid=provider.metadata.uid,
        channel=spec.channel,
        username=secret.get("username", "").strip() or spec.username,
        password=secret.get("password", "").strip(),
        token=secret.get("token", "").strip(),
        connection=_through(reached, secret.get("proxy", "").strip() or spec.proxy or "", provider),
        timeout=min(spec.timeout or TIMEOUT, LONGEST_TIMEOUT),
    )
    if spec.type == GITHUB and APP_ID in secret and not target.token:
        assert spec.secret_ref is not None
        ca = reached.ca or secret.get("ca.crt", "")
        app = GitHubApp.read(secret, f"{namespace}/{spec.secret_ref.name}", replace(target.connection, ca=ca))
        target = replace(target, token=(await logins.for_app(app)).login.password)
    if "headers" in secret:
        target = replace(target, headers=_headers(target, secret["headers"]))
    return target


async def named(target: Target, provider: Provider, alert: Alert, notice: Notice, cel: Expressions) -> Target:
    """The same with the name that the Provider's expression gives to a commit's status.

    Raises: SourceError, RetryableError.
    """
    text = provider.spec.commit_status_expr
    if not text:
        return target
    variables: dict[str, Any] = {
        "event": notice.as_json(),
        "alert": _shown(alert.manifest),
        "provider": _shown(provider.manifest),
    }
    done, found = await cel.evaluate_text(text, variables)
    if not done or not found:
        why = found if not done else "gives an empty string"
        raise target.wrong(f"has a commitStatusExpr that cannot be used: {why}", "correct spec.commitStatusExpr")
    return replace(target, status_name=found)


def _shown(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Of an object what an expression may use."""
    metadata = manifest["metadata"]
    kept = {name: metadata[name] for name in ("name", "namespace", "uid", "labels", "annotations") if name in metadata}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": kept, "spec": manifest["spec"]}


def _secrets_in(address: str, *more: str) -> frozenset[str]:
    """What makes the address of a webhook a secret: all that is not its host. Each part by itself too, for a server may
    quote any of them."""
    rest = address.partition("://")[2]
    login, at, place = rest.rpartition("@")
    tail = (place if at else rest).partition("/")[2]
    parts = [*_SEPARATORS.split(tail), *login.split(":")]
    return frozenset((address, tail, *more, *(unquote(part) for part in parts), *parts)) - _short(parts)


def _short(parts: Collection[str]) -> frozenset[str]:
    """Those that are no secret, and in many words."""
    return frozenset(part for text in parts for part in (text, unquote(text)) if len(part) < _SHORTEST)


def _through(reached: Connection, proxy: str, provider: Provider) -> Connection:
    """With the proxy of the deprecated fields, where there is no other."""
    if not proxy or reached.proxy:
        return reached
    return replace(reached, proxy=proxy_url({"address": proxy}, provider.metadata.namespace, provider.metadata.name))


def _headers(target: Target, text: str) -> dict[str, str]:
    """What ``headers`` of the Secret says: names and values. Raises: SourceError, which shows none."""
    try:
        found = load(text)
    except YamlError:
        found = None
    good = (
        isinstance(found, dict)
        and len(found) <= MOST_HEADERS
        and all(
            isinstance(name, str)
            and _TOKEN.fullmatch(name)
            and name.lower() not in _OWN
            and isinstance(value, str)
            and _VALUE.fullmatch(value)
            for name, value in found.items()
        )
    )
    if not good:
        raise target.wrong("has headers in its Secret that cannot be used", "give names and texts as YAML: NAME: VALUE")
    keep_secret(frozenset(found.values()))
    return dict(found)
