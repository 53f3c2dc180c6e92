"""One plan, carried out: ``rollout`` applies, waits and prunes at once, each step as soon as what it needs is there.

``course`` is how far it has come. ``applying`` applies objects, ``settling`` waits until they are ready. ``leaving``
decides when an object that left Git may be deleted, and ``prune`` deletes it. ``holders`` waits for objects that
releases have yet to let go of, ``lacking`` finds releases that wait in vain.
"""
