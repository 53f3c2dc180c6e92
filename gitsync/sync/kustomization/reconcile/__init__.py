"""One pass over one Kustomization: dependencies, source, build, sync, health, status; or its end.

``reconciler`` goes through these steps; ``surroundings`` are what it asks of other parts. ``unsupported`` refuses
fields; ``turns`` spreads the many looks at one commit; ``builds`` waits for memory for what is built; ``failures``
reports what went wrong, and ``patience`` says when that is worth a line and when it is tried again. ``finalize``
removes what a deleted Kustomization has applied, until when ``finalizer`` keeps it there. ``conditions`` writes the
status, with the history that ``past`` makes.
"""
