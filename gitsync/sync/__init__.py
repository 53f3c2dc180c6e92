"""One commit: planned, applied in dependency order, waited for, pruned, written down.

- ``build`` reads a commit, ``reconciler`` keeps a cluster at the head of a repository, ``apply`` syncs one commit.
- ``plan`` says what it changes, once ``default_namespace`` has given its objects namespaces; ``rollout`` carries that
  out, with ``holders`` (what releases have yet to let go of) and ``prune``; ``outcome`` says when releases have
  settled, ``lacking`` which of them wait in vain, ``tally`` how many are ready, wait and have failed.
- ``spec`` is what a sync is told to do, ``owner`` what it leaves on objects; ``inventory`` and ``history`` what it
  remembers, which ``packing`` packs and ``configmaps`` keeps in the cluster; ``report`` what it says, ``timeline`` when
  each object had its turn and what it waited for, ``underway`` tells of both while it lasts.
- ``standing`` is how the sync of the settings stands, which ``rootevents`` tells of where no Kustomization can.
"""
