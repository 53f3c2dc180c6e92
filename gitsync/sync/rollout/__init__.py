"""One plan, carried out: ``rollout`` applies, waits and prunes at once, each step as soon as what it needs is there.

``holders`` waits for what releases have yet to let go of, ``prune`` deletes what left Git, ``lacking`` says which
releases wait in vain.
"""
