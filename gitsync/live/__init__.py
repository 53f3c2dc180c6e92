"""What the cluster has, for people: ``columns`` of a table, what an object consists of (``objecttree``, found by
``finder``, releases by their ``records``), why it waits (``why``, ``remedies``), what commits did (``commits``), when
an Event was seen last (``events``), and what the agent is asked for (``requests``). Commands and the page both show it.
"""
