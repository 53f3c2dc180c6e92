"""One commit: planned, applied in dependency order, waited for, pruned, written down.

- ``build`` reads a commit, ``reconciler`` keeps a cluster at the head of a repository, ``apply`` syncs one commit.
- ``planner`` finds out what it changes, once ``default_namespace`` has given its objects namespaces, ``plan`` decides
  about each object; ``rollout/`` carries that out; ``outcome`` says when releases have settled.
- ``spec`` is what a sync is told to do, ``owner`` marks its objects, ``policy`` reads annotations of objects that say
  how they are applied; ``storage/`` is what a sync remembers, ``reporting/`` what it logs and writes into the journal.
- ``standing`` is how the sync of the settings stands; ``rootevents`` makes Events of that where no Kustomization does.
- ``factory`` makes the syncs of a cluster; ``kustomization/`` serves Kustomizations, each of which is a sync, too.
"""
