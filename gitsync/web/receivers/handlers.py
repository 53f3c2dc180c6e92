"""What is done about a delivery of which it is proved who it is from."""

from __future__ import annotations

import time

import structlog

from gitsync.errors import GitsyncError
from gitsync.metering import METER
from gitsync.web.receivers.delivery import REASONS, Answer, Delivery, Proved, Refusal
from gitsync.web.receivers.limits import Rates, Replays
from gitsync.web.receivers.routes import Route, Routes
from gitsync.web.receivers.senders import is_wanted

log = structlog.get_logger(__name__)


class Webhooks:
    """All webhooks of an agent. ``unready`` says why they take nothing, "" when they do; ``has_port`` whether somebody
    takes deliveries for them at all."""

    def __init__(self) -> None:
        self.routes = Routes()
        self.unready = "starting"
        self.has_port = False
        self._rates, self._replays = Rates(time.monotonic), Replays(time.monotonic)

    async def open(self) -> None:
        """Take deliveries from now on."""
        self.unready = ""
        await self.routes.publish()

    async def close(self) -> None:
        """Take none until they are opened again."""
        self.unready = "the agent is stopping, or starting with other settings"
        self.routes.clear()
        self.routes.settling = False
        await self.routes.publish()

    async def doubt(self, path: str, delivery: Delivery) -> Refusal | None:
        """What is wrong with the token of a delivery whose body is not known yet; None when nothing is."""
        route = self.routes.find(path)
        if route is None or route.doubt is None:
            return None  # whoever takes it says so
        found = await route.doubt(delivery)
        return found if isinstance(found, Refusal) else None

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
            return _counted(route, "ignored", Answer(200, "pong"))
        if not is_wanted(proved.event, route.events):
            return _counted(route, "ignored", Answer(200, "nothing is done for this event"))
        async with self._replays.once(route.name, proved.identity) as turn:
            if not turn.is_new:
                return _counted(route, "repeated", Answer(202, "this was delivered before"))
            answer = await self._ask(route, delivery, proved)
            turn.is_done = answer.status == 200  # else the sender may try again
        return answer

    async def _ask(self, route: Route, delivery: Delivery, proved: Proved) -> Answer:
        if wait := self._rates.take(route.name):
            return _counted(route, "limited", Answer(429, "too many deliveries", wait))
        try:
            asked = await route.ask(delivery, proved)
        except GitsyncError as error:
            log.warning("webhook cannot have its objects reconciled", receiver=route.name, error=error)
            answer = Answer(500, "the objects cannot be reconciled now; the agent's log says why")
            return _counted(route, "failed", answer)
        if isinstance(asked, Refusal):
            return _counted(route, "refused", Answer(asked.status, asked.why), REASONS.get(asked.status, ""))
        event = {"delivery": proved.event} if proved.event else {}
        log.info("webhook delivered", receiver=route.name, asked=asked, **event)
        return _counted(route, "delivered", Answer(200, f"asked for {asked} object{'s' if asked != 1 else ''}"))


def _counted(route: Route, result: str, answer: Answer, reason: str = "") -> Answer:
    METER.webhooks[route.name, result, reason] += 1
    return answer
