"""Every time limit and interval of the room, in seconds, in one place: tests put short ones in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """All in seconds.

    ``request`` bounds one attempt, and none begins after ``total``. ``token``: how often a token file is read again;
    ``renewal``: how often at most a 401 has credentials renewed. ``discovery``: how often at most it is read.
    ``silence``: the API server sends a bookmark about once a minute (at most 75 s apart), so a watch that hears nothing
    for longer than this has lost its connection. ``absent``: when a watch looks again for a kind that is not served.
    ``away``: an API server that has not answered for so long is worth a line.
    """

    connect: float = 10.0
    request: float = 30.0
    total: float = 60.0
    backoff: float = 0.1
    backoff_max: float = 10.0
    token: float = 60.0
    renewal: float = 1.0
    plugin: float = 60.0
    discovery: float = 1.0
    watch_min: float = 240.0
    watch_max: float = 480.0
    silence: float = 90.0
    absent: float = 5.0
    absent_max: float = 60.0
    sync: float = 60.0
    away: float = 5.0
    linger: float = 10.0

    @classmethod
    def for_remote(cls) -> Timings:
        """For remote clusters: one that does not answer is given up sooner, since tenants choose which servers the
        agent waits for."""
        return cls(connect=5.0, request=15.0, total=10.0, sync=10.0)
