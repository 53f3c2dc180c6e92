"""One plan, carried out: ``rollout`` applies, waits and prunes at once, each step as soon as what it needs is there.

``course`` is how far that has come; ``applying`` applies, ``settling`` waits until what was applied is ready, and
``leaving`` says when what left Git may go, which ``prune`` deletes. ``holders`` waits for what releases have yet to let
go of, ``lacking`` says which releases wait in vain.
"""
