"""Kustomizations: objects that say which directory of a source is built and applied, each a sync of its own.

- ``controller`` watches them, wakes them, and has each reconciled by ``reconciler``: dependencies, source, build,
  sync, ``health``, status; ``finalize`` keeps one that is deleted until what it has applied is removed.
- ``dependencies`` says what one waits for, ``order`` what the graph of releases has to know of that, ``judging`` what
  expressions say.
- ``building`` says what one asks of the build, with its ``inputs``: ``variables`` to substitute and ``keys`` to decrypt
  with (``rootkeys`` for the sync of the settings), which it refers to in the cluster; ``unsupported`` says which fields
  keep it from being applied.
- ``syncers`` makes the sync of each; ``coming`` says what those will want that are on their way,
  ``unbuilt`` by which commits one may want something that cannot be built.
- ``statusstore`` keeps the inventory in the status, ``rootstore`` that of the sync of the settings in the status of
  the one that stands for it, too; ``journal`` keeps what commits did, of all of them together;
  ``conditions`` says how one stands, ``outcome`` whether it is on its way.
"""
