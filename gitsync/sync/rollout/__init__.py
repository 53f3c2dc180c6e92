"""One plan, carried out: ``rollout`` applies, waits and prunes at once, each step as soon as what it needs is there.

``holders`` waits for what releases have yet to let go of, ``lacking`` says which releases wait in vain. ``leaving``
says when what left Git may go, and ``prune`` deletes it.
"""
