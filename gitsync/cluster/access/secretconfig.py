"""A kubeconfig out of a Secret: written by whoever may write Secrets in some namespace, and used by this process.

Such a kubeconfig must not make this process read its own files or run programs. What may be used of it is put into a
new one, and only that one is ever used, also by the Helm SDK, which reads YAML in its own way.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.aio.config import ConfigException

from gitsync.cluster.access.access import Access
from gitsync.cluster.access.credentials import Loader, access_from
from gitsync.cluster.timings import Timings
from gitsync.errors import YamlError
from gitsync.kubeyaml import load

_OF_CLUSTER = (
    "server",
    "certificate-authority-data",
    "tls-server-name",
    "proxy-url",
    "insecure-skip-tls-verify",
)
_OF_USER = ("token", "client-certificate-data", "client-key-data", "username", "password", "exec")
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
#: Fields for impersonating somebody else.
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")
_NAME = "remote"


@dataclass(frozen=True, slots=True)
class KubeconfigAllowance:
    """What a kubeconfig out of a Secret may do beyond naming a server and credentials: have a program run (``exec``),
    send credentials to a server that is not verified (``insecure_tls``). ``account`` is the ServiceAccount whose tokens
    go to a server that a ConfigMap describes without naming one; "" for none.
    """

    exec: bool = False
    insecure_tls: bool = False
    account: str = ""


#: The default: nothing of that is allowed.
CONFINED = KubeconfigAllowance()


class SecretKubeconfig:
    """The current context of the kubeconfig in ``text``."""

    def __init__(self, text: str, timings: Timings, allowed: KubeconfigAllowance) -> None:
        self._text = text
        self._timings = timings
        self._allowed = allowed
        self._confined: dict[str, Any] = {}

    async def load(self, previous: Access | None = None) -> Access:
        """See CredentialSource."""
        return await access_from(self._read, "the kubeconfig", self._timings, previous)

    def helm_access(self, access: Access) -> dict[str, str]:
        """See CredentialSource."""
        return {"kubeconfig_content": json.dumps(self._confined)}

    def _read(self) -> Loader:
        try:
            content = load(self._text)
        except YamlError as error:
            raise ConfigException("it is no YAML") from error
        self._confined = confined(content, self._allowed)
        return Loader(self._confined, config_base_path=None)


def confined(content: Any, allowed: KubeconfigAllowance) -> dict[str, Any]:
    """A kubeconfig with nothing but the current context of ``content``, and of that only what is harmless or allowed.

    Raises: ConfigException for what must not or cannot be used.
    """
    if not isinstance(content, dict):
        raise ConfigException("it is no kubeconfig")
    context = _named(content, "contexts", "context", str(content.get("current-context") or ""))
    cluster = _named(content, "clusters", "cluster", str(context.get("cluster") or ""))
    user = _named(content, "users", "user", str(context.get("user") or "")) if context.get("user") else {}
    _refuse(cluster, "cluster", _FILES, "it names a file; put its content into {}-data")
    _refuse(user, "user", _FILES, "it names a file; put its content into the kubeconfig")
    _refuse(user, "user", ("auth-provider",), "no such plugin is run")
    _refuse(user, "user", _IMPERSONATION, "spec.serviceAccountName says whom to impersonate")
    if not allowed.exec:
        _refuse(user, "user", ("exec",), "no program is run for it, unless insecure_kubeconfig_exec is set")
    server = cluster.get("server")
    if not isinstance(server, str) or not server:
        raise ConfigException("its cluster has no server")
    if not allowed.insecure_tls:
        if cluster.get("insecure-skip-tls-verify"):
            raise ConfigException(f"cluster.insecure-skip-tls-verify: {_UNVERIFIED}")
        if not server.startswith("https://"):
            raise ConfigException(f"cluster.server is not https: {_UNVERIFIED}")
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": _NAME,
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "clusters": [{"name": _NAME, "cluster": _only(cluster, _OF_CLUSTER)}],
        "users": [{"name": _NAME, "user": _only(user, _OF_USER)}],
    }


_UNVERIFIED = "credentials are sent only to servers that prove who they are, unless insecure_kubeconfig_tls is set"


def _named(content: Mapping[str, Any], plural: str, singular: str, name: str) -> Mapping[str, Any]:
    """The entry of that name; the first of several, as for client-go. An empty name is no name."""
    entries = content.get(plural)
    for entry in entries if isinstance(entries, list) else ():
        if name and isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(singular), dict):
            found: Mapping[str, Any] = entry[singular]
            return found
    raise ConfigException(f"it has no {singular} of the name that is used ({plural})")


def _refuse(section: Mapping[str, Any], name: str, fields: Iterable[str], why: str) -> None:
    for field in fields:
        if section.get(field):
            raise ConfigException(f"{name}.{field} is refused: {why.format(field)}")


def _only(section: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    return {field: section[field] for field in fields if section.get(field)}
