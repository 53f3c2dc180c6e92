"""Webhooks that ask for objects to be looked at: Flux's Receivers, and the one of the agent's own repository.

In a process of its own (``gate``, on a ``server``) what was sent (``delivery``, ``body``) comes in by a ``door``, and
is passed on once it is proved who it is from (``senders`` by ``signatures``), within ``limits``; a ``refusal`` costs
little. In the agent ``gatekeeper`` is told, and ``handlers`` do what is asked for, by the ``routes`` that the Receivers
of the cluster make (``controller``), and the file with the token of the repository (``roottoken``). ``tokens`` judges
what has a token (``jwt``) by the keys of its issuer (``issuers``); ``asking`` asks for the objects. Nothing is
imported here, as in ``gitsync.web``.
"""
