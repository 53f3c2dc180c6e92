"""The one object other rooms hold: a cluster they can ask, change and watch."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from gitsync.cluster.connection import Connection
from gitsync.cluster.credentials import CredentialSource, choose_source
from gitsync.cluster.discovery import Discovery, Served
from gitsync.cluster.listing import Keep
from gitsync.cluster.objects import Objects
from gitsync.cluster.shared import SharedWatch, Watches
from gitsync.cluster.status import Subject
from gitsync.cluster.stream import Wanted
from gitsync.cluster.timings import Timings
from gitsync.cluster.transport import Request, Transport


class Cluster(Objects):
    """One cluster, as one user: the verbs of Objects, shared watches, and what they have in common.

    ``requests`` counts what was sent, by verb (get, list, watch, apply, ...), repeats included.
    """

    def __init__(self, connection: Connection, timings: Timings) -> None:
        self._connection = connection
        transport = Transport(connection, timings)
        super().__init__(transport, Discovery(transport, timings))
        self._server_version: str | None = None
        self._asking = asyncio.Lock()
        self._watches = Watches(self._transport, self._discovery, timings)

    @classmethod
    async def connect(
        cls, *, kubeconfig: Path | None = None, context: str | None = None, timings: Timings | None = None
    ) -> Cluster:
        """Chooses the cluster as kubectl does: ``kubeconfig``, else KUBECONFIG, else ~/.kube/config, else the pod's
        service account; ``context`` is a context of the kubeconfig, None for its current one. Makes no request.

        Raises: SettingsError when what is configured cannot be used.
        """
        timings = timings or Timings()
        return await cls.connect_through(choose_source(kubeconfig, context, timings), timings)

    @classmethod
    async def connect_through(cls, source: CredentialSource, timings: Timings | None = None) -> Cluster:
        """A cluster whose address and credentials come from ``source``. Raises: SettingsError."""
        timings = timings or Timings()
        return cls(await Connection.open(source, timings.renewal), timings)

    async def close(self) -> None:
        """Ends every watch and closes every connection; requests made later raise ClusterUnavailable."""
        await self._watches.close()
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
        async with self._asking:
            if self._server_version is None:
                answer = await self._transport.send(Request("GET", "/version", Subject("discover", "/version")))
                self._server_version = str(answer.body["gitVersion"])
        return await self._discovery.served(self._server_version)

    @property
    def requests(self) -> Counter[str]:
        return self._transport.requests

    def helm_access(self) -> dict[str, str]:
        """Keyword arguments for ``helm_python.Config`` that lead to the same cluster as the same user. Ask for them
        anew for each use: in a pod they hold the current token (never log them).
        """
        return self._connection.helm_access()

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
    ) -> SharedWatch:
        """A live view of the objects of a kind. Makes no request before it is entered (``async with``).

        The same arguments share one stream. ``keep`` trims each object before it is stored (managedFields are always
        left out); ``metadata_only`` has the API server send nothing but metadata.
        """
        return SharedWatch(self._watches, Wanted(group, kind, namespace, labels, fields, keep, metadata_only))
