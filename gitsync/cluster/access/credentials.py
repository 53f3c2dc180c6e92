"""Where the API server is and how we prove who we are: a kubeconfig, or the service account of the pod we run in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes.aio.config.kube_config import FileOrData, KubeConfigLoader, KubeConfigMerger

from gitsync.cluster.access.access import Access
from gitsync.cluster.access.execplugin import PluginCredential, run_plugin
from gitsync.cluster.timings import Timings
from gitsync.errors import SettingsError
from gitsync.text import listed

DEFAULT_KUBECONFIG = "~/.kube/config"


class CredentialSource(Protocol):
    """Gives the current access, and can be asked again at any time."""

    async def load(self, previous: Access | None = None) -> Access:
        """Raises: SettingsError when what is configured cannot be used; what getting credentials raises."""

    def helm_access(self, access: Access) -> dict[str, str]:
        """Keyword arguments for helm_python.Config that lead to the same cluster as the same user."""


def choose_source(kubeconfig: Path | None, context: str | None, timings: Timings) -> CredentialSource:
    """As kubectl chooses: the file named, else ``KUBECONFIG``, else ~/.kube/config, else the pod's service account.

    Raises: SettingsError when there is none of these.
    """
    if kubeconfig is not None:
        return Kubeconfig(str(kubeconfig), context, timings)
    if from_environment := os.environ.get("KUBECONFIG"):
        return Kubeconfig(from_environment, context, timings)
    if Path(DEFAULT_KUBECONFIG).expanduser().exists():
        return Kubeconfig(DEFAULT_KUBECONFIG, context, timings)
    if os.environ.get(SERVICE_HOST_ENV_NAME):
        return InCluster(timings)
    raise SettingsError(
        "no cluster is configured",
        setting="kubeconfig",
        hint=f"name a kubeconfig, set KUBECONFIG, write {DEFAULT_KUBECONFIG}, or run in a pod",
    )


class InCluster:
    """The service account of the pod we run in. Kubernetes replaces its token on disk about once an hour."""

    def __init__(
        self, timings: Timings, token_file: str = SERVICE_TOKEN_FILENAME, ca_file: str = SERVICE_CERT_FILENAME
    ) -> None:
        self._timings = timings
        self._token_file = token_file
        self._ca_file = ca_file

    async def load(self, previous: Access | None = None) -> Access:
        configuration = Configuration()
        loader = InClusterConfigLoader(self._token_file, self._ca_file, try_refresh_token=False)
        try:
            await asyncio.to_thread(loader.load_and_set, configuration)
        except (ConfigException, OSError) as error:
            raise SettingsError(f"cannot use the pod's service account: {error}", setting="kubeconfig") from error
        return Access.build(configuration, self._timings.token, previous)

    def helm_access(self, access: Access) -> dict[str, str]:
        return {
            "kube_apiserver": access.host,
            "kube_token": access.authorization.partition(" ")[2],
            "kube_ca_file": self._ca_file,
        }


class Kubeconfig:
    """One context of one or several (``KUBECONFIG`` may name a list) kubeconfig files, read anew on every load."""

    def __init__(self, path: str, context: str | None, timings: Timings) -> None:
        self._path = path
        self._context = context
        self._timings = timings

    async def load(self, previous: Access | None = None) -> Access:
        return await access_from(
            lambda: Loader.read(self._path, self._context), f"the kubeconfig {self._path}", self._timings, previous
        )

    def helm_access(self, access: Access) -> dict[str, str]:
        chosen = {"kube_context": self._context} if self._context else {}
        if os.pathsep in self._path:
            return chosen  # Helm reads KUBECONFIG itself, and takes one path only as an argument
        return {"kubeconfig_path": str(Path(self._path).expanduser()), **chosen}


async def access_from(read: Callable[[], Loader], name: str, timings: Timings, previous: Access | None) -> Access:
    """Access by what ``read`` (which blocks) has read; ``name`` is what messages call it.

    Raises: SettingsError, which names keys, contexts and files, never what is in them.
    """
    configuration = Configuration()
    try:
        loader = await asyncio.to_thread(read)
        if loader.plugin is not None:
            loader.credential = await run_plugin(loader.plugin, timings.plugin)
        await loader.load_and_set(configuration)
    except ConfigException as error:
        raise SettingsError(f"cannot use {name}: {error}", setting="kubeconfig") from error
    except Exception as error:  # what the library and its parsers raise on content of the wrong shape is not defined
        raise SettingsError(
            f"cannot use {name}: it is not one ({type(error).__name__})", setting="kubeconfig"
        ) from None
    # No await from here on: see Access.build.
    return Access.build(configuration, loader.renew_after(timings), previous)


def _exists(path: str) -> bool:
    """Whether one of the files is there; the library would say so in a log line of its own."""
    return any(Path(part).expanduser().exists() for part in path.split(os.pathsep))


def _check_context(merged: Any, context: str | None) -> None:
    """Raises: ConfigException for a context that was asked for and is not there, with those that are."""
    if not context:
        return
    contexts = [getattr(it, "value", it) for it in merged.value["contexts"]]
    names = [str(it["name"]) for it in contexts if isinstance(it, dict) and "name" in it]
    if context not in names:
        raise ConfigException(f"it has no context {context!r}; there are: {listed(sorted(names), 5) or 'none'}")


class Loader(KubeConfigLoader):  # type: ignore[misc]  # untyped library
    """kubernetes.aio's loader, with credential plugins run by us: the library's own run has no time limit, swallows the
    plugin's failure and goes on as an anonymous user.
    """

    credential: PluginCredential | None = None

    @classmethod
    def read(cls, path: str, context: str | None) -> Loader:
        """The kubeconfig at ``path``, or merged of several, as ``KUBECONFIG`` lists them; ``context`` is None for its
        current one. Blocks. Starts no plugin.

        Raises: ConfigException for what is not there or is no kubeconfig; it quotes nothing of it.
        """
        try:
            merged = KubeConfigMerger(path).config if _exists(path) else None
        except OSError as error:
            raise ConfigException(f"it cannot be read ({type(error).__name__})") from error
        except Exception as error:  # PyYAML's, and what the library raises on a document that is no kubeconfig
            raise ConfigException(f"it is not a kubeconfig ({type(error).__name__})") from None
        if merged is None:
            raise ConfigException("there is no such file")
        _check_context(merged, context)
        loader: Loader = cls(merged, active_context=context, config_base_path=None)
        return loader

    @property
    def plugin(self) -> Any:
        """The user's ``exec`` section, None when there is none."""
        if self._user is None or self.provider or "exec" not in self._user:
            return None
        return self._user["exec"]

    async def load_from_exec_plugin(self) -> bool:
        """The library calls this for a user with an ``exec`` section; the plugin has been run by then."""
        assert self.credential is not None
        if self.credential.token:
            self.token = f"Bearer {self.credential.token}"
        if self.credential.certificate:
            pair = {"certificate": self.credential.certificate, "key": self.credential.private_key}
            self.cert_file, self.key_file = (
                FileOrData(pair, None, data_key_name=name, base64_file_content=False).as_file() for name in pair
            )
        return True

    def _load_user_token(self) -> bool:
        """As client-go: a token file wins over a token in the kubeconfig."""
        if not self._token_file:
            return bool(super()._load_user_token())
        path = Path(self._get_base_path(self._user.path)) / self._token_file
        try:
            self.token = f"Bearer {path.read_text()}"
        except OSError as error:
            raise ConfigException(f"the token file {path} cannot be read ({type(error).__name__})") from error
        return True

    @property
    def _token_file(self) -> str:
        return "" if self._user is None else self._user.safe_get("tokenFile") or ""

    def renew_after(self, timings: Timings) -> float | None:
        if self.credential is not None:
            return self.credential.renew_after()
        return timings.token if self._token_file else None
