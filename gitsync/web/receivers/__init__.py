"""Webhooks that ask for objects to be looked at: Flux's Receivers, and the one of the agent's own repository.

Decisions, pure: what was sent (``delivery``), bounded (``body``), from whom (``senders`` by ``signatures``; ``jwt``),
and how often (``limits``). Effects: the keys of issuers (``issuers``) and judging by them (``tokens``), the objects
asked for (``asking``), the answers (``handlers``) on a port (``server``), by ``routes`` that the Receivers of the
cluster make (``controller``), and the file with the token of the repository (``roottoken``).
"""

from gitsync.web.receivers.handlers import Webhooks
from gitsync.web.receivers.server import listening

__all__ = ["Webhooks", "listening"]
