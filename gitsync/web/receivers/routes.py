"""Which webhooks there are: by path, who is asked for by it, and how it is proved who asks."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

from gitsync.web.receivers.delivery import Delivery, Proved, Refusal
from gitsync.web.receivers.door import Door

PREFIX: Final = "/hook/"

#: Asks for what a delivery is about; how many objects were asked for. Raises: GitsyncError.
Ask = Callable[[Delivery, Proved], Awaitable["int | Refusal"]]


@dataclass(frozen=True, slots=True, repr=False)
class Route:
    """A webhook. ``type`` is that of its Receiver, "" when the headers of a delivery tell it; ``judge`` takes the place
    of that type's own, of what has a token of one of ``issuers``, and ``doubt`` says before the body is known what is
    wrong with that. ``closed`` says why it takes nothing at present."""

    name: str
    type: str
    ask: Ask
    token: bytes = b""
    events: tuple[str, ...] = ()
    judge: Callable[[Delivery], Awaitable[Proved | Refusal]] | None = field(default=None)
    doubt: Callable[[Delivery], Awaitable[object]] | None = field(default=None)
    closed: str = ""
    issuers: tuple[str, ...] = ()

    @property
    def door(self) -> Door:
        """What is known of it where deliveries come in."""
        return Door(self.name, self.type, self.token, self.closed, self.issuers)


def path_of(token: bytes, name: str, namespace: str) -> str:
    """The path of a webhook, as Flux makes it: whoever does not know the token cannot guess it."""
    return PREFIX + hashlib.sha256(token + f"{name}{namespace}".encode()).hexdigest()


class Routes:
    """All webhooks of an agent; one path each. ``settling`` says that there may be more than are known so far."""

    def __init__(self) -> None:
        self.settling = False
        #: Has those know of a change who take deliveries; done when they do.
        self.publish: Callable[[], Awaitable[None]] = _to_nobody
        self._routes: dict[str, Route] = {}
        self._paths: dict[Hashable, str] = {}

    def doors(self) -> dict[str, Door]:
        """What is known of them where deliveries come in, by path."""
        return {path: route.door for path, route in self._routes.items()}

    def find(self, path: str) -> Route | None:
        """The webhook of a path."""
        return self._routes.get(path)

    def put(self, key: Hashable, path: str, route: Route) -> bool:
        """``key`` has this webhook from now on, and no other. False when the path is somebody else's."""
        if self._paths.get(key) != path:
            self.drop(key)
            if path in self._routes:
                return False
        self._paths[key] = path
        self._routes[path] = route
        return True

    def drop(self, key: Hashable) -> None:
        """``key`` has no webhook any more."""
        if (path := self._paths.pop(key, None)) is not None:
            del self._routes[path]

    def path_of(self, key: Hashable) -> str:
        """The path of somebody's webhook, "" when he has none."""
        return self._paths.get(key, "")

    def clear(self) -> None:
        """There are none."""
        self._routes.clear()
        self._paths.clear()


async def _to_nobody() -> None:
    """Nobody takes deliveries."""
