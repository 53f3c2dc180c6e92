"""What the cluster has, for people; commands and the page both show it.

- ``columns`` of a table, what is ``known`` of our own kinds and its ``standing``; ``why`` one waits, in a chain of
  which each is a ``link``, what would mend it (``remedies``), and what happens next (``upcoming``).
- What an object consists of (``objecttree``), found by ``finder``, also ``elsewhere``, in another cluster, and what it
  is of, its ``owner``; of a release its ``records``, what of two ``revisions`` differs, where its values come from
  (``valuesources``), and how an old one is brought back (``rollback``), for which all that releases and syncs have
  counts (``wishes``).
- What commits did (``commits``) and where the repository's host shows them (``forge``), when an Event was seen last
  (``events``), and what the agent is asked for (``requests``).
"""
