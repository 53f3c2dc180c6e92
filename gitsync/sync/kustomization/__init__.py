"""Kustomizations: objects that say which directory of a source is built and applied, each a sync of its own.

- ``controller`` watches and wakes them (``seen`` decides which changes matter to whom), and has each reconciled
  (``reconcile``); ``present`` has those in the cluster, ``settling`` waits until none is on its way.
- ``inputs`` is what a Kustomization asks of the build, and what it refers to in the cluster for that.
- ``waiting`` is what a Kustomization waits for, and whether those that wait for it may go on.
- ``syncers`` makes the sync of each. ``coming`` works out what Kustomizations will want that have yet to take up a
  revision; ``unbuilt`` remembers those that cannot be built.
- ``root`` is the sync of the settings as Kustomizations see it: one of them may stand for it, as ``flux-system`` does.
- ``storage`` keeps what was done: inventories in statuses, and one journal of all of them together.
"""
