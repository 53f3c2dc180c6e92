"""The session of a connection, while its credentials are renewed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from gitsync.cluster.access.access import Access
from gitsync.cluster.access.credentials import Kubeconfig
from gitsync.cluster.connection import Connection
from gitsync.cluster.timings import Timings
from tests.controlplane.cluster import Cluster as ControlPlane


@dataclass
class Slow:
    """Gives other credentials for the same server, once ``go`` is set."""

    access: Access
    go: asyncio.Event

    async def load(self, previous: Access | None = None) -> Access:
        if previous is None:
            return self.access
        await self.go.wait()
        return replace(previous, authorization="Bearer another")

    def helm_access(self, access: Access) -> dict[str, str]:
        return {}


async def test_a_session_that_is_replaced_while_credentials_are_renewed_is_not_taken_up_again(
    control_plane: ControlPlane,
) -> None:
    timings = Timings()
    access = await Kubeconfig(str(control_plane.kubeconfig), None, timings).load()
    source = Slow(access, asyncio.Event())
    connection = await Connection.open(source, timings)
    session = access.rest.session()
    renewing = asyncio.create_task(connection.renew(connection.generation))
    await asyncio.sleep(0)
    connection.reconnect(access.rest)  # a request had no answer in time
    source.go.set()
    await renewing

    assert connection.access.authorization == "Bearer another"
    assert connection.access.rest.session() is not session, "that one is closed"
    await connection.close()
    assert session.closed
