"""One commit: planned, applied in dependency order, waited for, pruned, written down.

- ``build`` reads a commit, ``reconciler`` keeps a cluster at the head of a repository, ``apply`` syncs one commit.
- ``planner`` finds out what it changes, once ``default_namespace`` has given its objects namespaces, ``plan`` decides
  about each object; ``rollout/`` carries that out; ``outcome`` says when releases have settled.
- ``spec`` is what a sync is told to do, ``owner`` what it leaves on objects; ``storage/`` what it remembers,
  ``reporting/`` what it says of itself.
- ``standing`` is how the sync of the settings stands, which ``rootevents`` tells of where no Kustomization can.
"""
