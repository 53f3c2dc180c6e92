"""Kustomizations: objects that say which directory of a source is built and applied, each a sync of its own.

- ``controller`` watches them and wakes them (``seen`` says what is news), and has each reconciled (``reconcile``);
  ``present`` are those that are there, ``settling`` waits until none is on its way.
- ``inputs`` is what one asks of the build, and what it refers to in the cluster for that.
- ``waiting`` is what one waits for, and whether those who wait for it may go on.
- ``syncers`` makes the sync of each; ``coming`` says what those will want that are on their way,
  ``unbuilt`` by which commits one may want something that cannot be built; ``root`` is the sync of the settings, for
  which one may stand.
- ``storage`` keeps what was done: inventories in statuses, and one journal of all of them together.
"""
