"""Notifications: Flux's Providers and Alerts. What happens to objects is told to whom an Alert says.

Pure: ``notice`` is one event, ``rules`` say which Alert wants it, ``repeats`` that it was told already, ``outbox`` what
waits and what is told together; ``services`` has a module for each service, from events to requests, ``target`` what
those are for. Effects: ``providers`` reads what Secrets hold, ``sender`` sends, ``courier`` does both for one Provider,
``notifier`` has one for each and takes what happens.
"""

from gitsync.notify.notifier import Notifier

__all__ = ["Notifier"]
