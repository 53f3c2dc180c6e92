"""One pass over one Kustomization: dependencies, source, build, sync, health, status; or its end.

``reconciler`` goes through it, asking its ``surroundings``; ``unsupported`` says which fields keep it from being
applied; ``turns`` whose turn it is when a commit comes to many; ``builds`` has room in memory for what it is built to;
``failures`` says what went wrong, and ``patience`` when that is worth a word and when it is tried again. ``finalize``
removes what one that is deleted has applied, which ``finalizer`` keeps until then. ``conditions`` says in the status
how one stands, ``past`` how it went before.
"""
