"""What the cluster has, for people: ``columns`` of a table, what an object consists of (``objecttree``, found by
``finder``, releases by their ``records``), what is ``known`` of our own kinds and its ``standing``, ``why`` one waits,
in a chain of which each is a ``link``, and what would mend it (``remedies``), what commits did (``commits``) and where
the repository's host shows them (``forge``), when an Event was seen last (``events``), and what the agent is asked for
(``requests``). Commands and the page both show it.
"""
