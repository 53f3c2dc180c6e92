"""The one object other rooms hold: a cluster they can ask, change and watch."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from gitsync.api.identity import ObjectKey
from gitsync.budget import Budget, Share
from gitsync.cluster.access.credentials import CredentialSource, choose_source
from gitsync.cluster.access.remote import KubeconfigText, Remote, TokenAccess
from gitsync.cluster.access.secretconfig import KubeconfigAllowance, SecretKubeconfig
from gitsync.cluster.access.tokenaccess import TokenSource
from gitsync.cluster.bounds import FOREIGN, FOREIGN_ALWAYS, FOREIGN_TOGETHER, OWN
from gitsync.cluster.client import Client
from gitsync.cluster.connection import Connection
from gitsync.cluster.discovery import Discovery, Served
from gitsync.cluster.listing import Keep
from gitsync.cluster.shape import as_version
from gitsync.cluster.status import Subject
from gitsync.cluster.timings import Timings
from gitsync.cluster.transport import Request, Transport
from gitsync.cluster.watching.shared import Informer, Watches
from gitsync.cluster.watching.stream import Wanted
from gitsync.errors import KubeConfigRefused, SettingsError


class Cluster(Client):
    """One cluster, as one user: the verbs of Client, and shared watches.

    ``requests`` counts what was sent, by verb (get, list, watch, apply, ...), repeats included. ``namespace`` is the
    only one that the agent serves, "" for all. ``narrow``: watches are for single namespaces (see ``scope_of``); always
    so with a ``namespace``. ``foreign`` bounds the memory of answers of the remote clusters that objects of this one
    name; each of those is given it as its ``budget``.
    """

    def __init__(
        self,
        connection: Connection,
        timings: Timings,
        *,
        narrow: bool = False,
        namespace: str = "",
        budget: Budget | None = None,
    ) -> None:
        self._connection = connection
        self._timings = timings
        self._narrow = narrow or bool(namespace)
        self.namespace = namespace
        self._origin: Cluster | None = None
        self._user = ""
        #: A bound on the memory of foreign content, shared by all kinds of it.
        self.input = Budget.of_input()
        self.foreign = Budget(FOREIGN_TOGETHER, FOREIGN_ALWAYS, self.input)
        share = Share(budget, FOREIGN.whole) if budget is not None else None
        transport = Transport(connection, timings, FOREIGN if narrow else OWN, share)
        super().__init__(transport, Discovery(transport, timings))
        self._server_version: str | None = None
        self._asking = asyncio.Lock()
        self._watches = Watches(self._transport, self._discovery, timings)

    @classmethod
    async def connect(
        cls,
        *,
        kubeconfig: Path | None = None,
        context: str | None = None,
        timings: Timings | None = None,
        namespace: str = "",
    ) -> Cluster:
        """Chooses the cluster as kubectl does: ``kubeconfig``, else KUBECONFIG, else ~/.kube/config, else the pod's
        service account; ``context`` is a context of the kubeconfig, None for its current one. ``namespace`` is the only
        one to serve. Makes no request.

        Raises: SettingsError when what is configured cannot be used.
        """
        timings = timings or Timings()
        source = choose_source(kubeconfig, context, timings)
        return cls(await Connection.open(source, timings), timings, namespace=namespace)

    @classmethod
    async def connect_through(
        cls,
        source: CredentialSource,
        timings: Timings | None = None,
        *,
        narrow: bool = False,
        budget: Budget | None = None,
    ) -> Cluster:
        """A cluster whose address and credentials come from ``source``. Raises: SettingsError."""
        timings = timings or Timings()
        return cls(await Connection.open(source, timings), timings, narrow=narrow, budget=budget)

    @classmethod
    async def remote(cls, kubeconfig: str, allowed: KubeconfigAllowance, budget: Budget | None = None) -> Cluster:
        """The cluster that the text of a kubeconfig names; ``budget`` is ``foreign`` of the cluster whose object names
        it. Makes no request, but may run a plugin where that is allowed.

        Raises: KubeConfigRefused.
        """
        timings = Timings.for_remote()
        return await cls._reach(SecretKubeconfig(kubeconfig, timings, allowed), timings, budget)

    async def other(self, remote: Remote, allowed: KubeconfigAllowance) -> Cluster:
        """The remote cluster that an object of this one names. Makes no request to it, but may run a plugin where that
        is allowed, or ask this cluster for a token.

        Raises: KubeConfigRefused; ServiceAccountMissing, Forbidden and ClusterUnavailable when there is no token.
        """
        if isinstance(remote, KubeconfigText):
            return await self.remote(remote.text, allowed, self.foreign)
        account, timings = _account_of(remote, allowed), Timings.for_remote()
        source = TokenSource(remote, lambda: self.request_token(account, remote.audiences), timings, allowed)
        return await self._reach(source, timings, self.foreign)

    @classmethod
    async def _reach(cls, source: CredentialSource, timings: Timings, budget: Budget | None) -> Cluster:
        try:
            return await cls.connect_through(source, timings, narrow=True, budget=budget)
        except SettingsError as error:
            raise KubeConfigRefused(f"kubeConfig: {error.message}") from error

    async def log_lines(
        self, pod: ObjectKey, *, tail: int | None = None, since: int | None = None, follow: bool
    ) -> AsyncIterator[str]:
        """The lines that a pod of one container has written: the last ``tail``, those of the last ``since`` seconds;
        with ``follow``, those to come, until the container ends.

        Raises: NotFound, Invalid (it has not started yet), ClusterUnavailable.
        """
        resource = await self.resource("", "Pod")
        wanted = {"tailLines": tail, "sinceSeconds": since, "follow": "true" if follow else ""}
        query = tuple((name, str(value)) for name, value in wanted.items() if value not in (None, ""))
        path = resource.object(pod.namespace, pod.name, "log")
        request = Request("GET", path, Subject("read the log of", str(pod), pod), query=query, accept="*/*")
        async with self._transport.stream(request) as content:
            async for line in content:
                yield line.decode("utf-8", "replace").rstrip("\r\n")

    def impersonating(self, namespace: str, service_account: str) -> Cluster:
        """The same cluster as a ServiceAccount: with its rights and no others, over this one's connections and with its
        discovery. Watches are its own.
        """
        other = copy.copy(self)
        other._origin = self
        other._narrow = True
        other._user = f"system:serviceaccount:{namespace}:{service_account}"
        other._transport = self._transport.impersonating(other._user)
        other._watches = Watches(other._transport, self._discovery, self._timings)
        return other

    async def close(self) -> None:
        """Ends every watch and closes every connection, unless that is another's, whom this one impersonates; requests
        made later raise ClusterUnavailable.
        """
        await self._watches.close()
        if self._origin is None:
            await self._connection.close()

    async def __aenter__(self) -> Cluster:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def served(self) -> Served:
        """What the API server is and serves; the same object until discovery is read again. Costs a request the first
        time, and where discovery is read again.

        Raises: ClusterUnavailable.
        """
        if self._origin is not None:
            return await self._origin.served()
        async with self._asking:
            if self._server_version is None:
                request = Request("GET", "/version", Subject("discover", "/version"))
                answer = await self._transport.send(request)
                self._server_version = as_version(answer.body, request.subject)
        return await self._discovery.served(self._server_version)

    @property
    def address(self) -> str:
        """The URL of the API server."""
        return str(self._connection.access.host)

    @property
    def on_return(self) -> list[Callable[[float], None]]:
        """Functions that are called when the API server answers again, with the seconds for which it was away."""
        return self._connection.on_return

    @property
    def requests(self) -> Counter[str]:
        return self._transport.requests

    def helm_access(self) -> dict[str, str]:
        """Keyword arguments for ``helm_python.Config`` that lead to the same cluster as the same user. Ask for them
        anew for each use: in a pod they hold the current token (never log them).
        """
        access = self._connection.helm_access()
        return {**access, "kube_as_user": self._user} if self._user else access

    def scope_of(self, key: ObjectKey) -> tuple[str, str, str]:
        """Group, kind and namespace of the watch on which an object is seen: one watch of all namespaces ("") costs
        least, but with ``narrow`` we may only have rights in single ones.
        """
        return key.group, key.kind, key.namespace if self._narrow else ""

    def serves(self, key: ObjectKey) -> bool:
        """Whether an object of our own kinds is among those that are watched and worked on."""
        return self.namespace in ("", key.namespace)

    def watch(
        self,
        group: str,
        kind: str,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        keep: Keep | None = None,
        metadata_only: bool = False,
    ) -> Informer:
        """A live view of the objects of a kind. Makes no request before it is entered (``async with``).

        The same arguments share one stream. ``keep`` trims each object before it is stored (managedFields are always
        left out); ``metadata_only`` has the API server send nothing but metadata.
        """
        return Informer(self._watches, Wanted(group, kind, namespace, labels, fields, keep, metadata_only))


def _account_of(remote: TokenAccess, allowed: KubeconfigAllowance) -> ObjectKey:
    """The ServiceAccount whose token the server gets. Never the agent's own: whoever describes the cluster chooses the
    server that it would be sent to.

    Raises: KubeConfigRefused.
    """
    account = remote.account._replace(name=remote.account.name or allowed.account)
    if not account.name:
        raise KubeConfigRefused(
            "kubeConfig: no serviceAccountName says whose token the cluster gets, and gitsync's own goes nowhere",
            hint="name a ServiceAccount of the same namespace there, or in the setting "
            "default_kubeconfig_service_account",
        )
    return account
