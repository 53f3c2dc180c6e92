"""What is done about a delivery of which it is proved who it is from."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from gitsync.errors import GitsyncError
from gitsync.web.receivers.delivery import Answer, Delivery, Proved, Refusal
from gitsync.web.receivers.limits import Rates, Replays
from gitsync.web.receivers.routes import Route, Routes
from gitsync.web.receivers.senders import is_wanted

log = structlog.get_logger(__name__)


class Webhooks:
    """All webhooks of an agent. ``unready`` says why they take nothing, "" when they do; ``has_port`` whether somebody
    takes deliveries for them at all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.routes = Routes()
        self.unready = "starting"
        self.has_port = False
        self._rates, self._replays = Rates(clock), Replays(clock)

    async def open(self) -> None:
        """Take deliveries from now on."""
        self.unready = ""
        await self.routes.publish()

    async def close(self) -> None:
        """Take none until they are opened again."""
        self.unready = "the agent is stopping, or starting with other settings"
        self.routes.clear()
        await self.routes.publish()

    async def take(self, path: str, delivery: Delivery, proved: Proved | None) -> Answer | Refusal:
        """What comes of a delivery to a path. What is ``proved`` of it is None where its webhook judges that itself."""
        route = self.routes.find(path)
        if route is None:
            return Answer(404, "there is no such webhook")
        if proved is None:
            assert route.judge is not None
            judged = await route.judge(delivery)
            if isinstance(judged, Refusal):
                return judged
            proved = judged
        if proved.is_ping:
            return Answer(200, "pong")
        if not is_wanted(proved.event, route.events):
            return Answer(200, "nothing is done for this event")
        if not self._replays.is_new(route.name, proved.identity):
            return Answer(202, "this was delivered before")
        done = False
        try:
            answer = await self._ask(route, delivery, proved)
            done = answer.status == 200
        finally:
            if not done:  # the sender may try again
                self._replays.forget(route.name, proved.identity)
        return answer

    async def _ask(self, route: Route, delivery: Delivery, proved: Proved) -> Answer:
        if wait := self._rates.take(route.name):
            return Answer(429, "too many deliveries", wait)
        try:
            asked = await route.ask(delivery, proved)
        except GitsyncError as error:
            log.warning("what a webhook asks for cannot be asked for", receiver=route.name, error=error)
            return Answer(500, "what this asks for cannot be asked for; the agent's log says why")
        if isinstance(asked, Refusal):
            return Answer(asked.status, asked.why)
        event = {"delivery": proved.event} if proved.event else {}
        log.info("webhook delivered", receiver=route.name, asked=asked, **event)
        return Answer(200, f"asked for {asked} object{'s' if asked != 1 else ''}")
