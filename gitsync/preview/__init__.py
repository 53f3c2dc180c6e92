"""What would come of a commit, without doing it.

``plan`` compares a commit with a cluster, ``difference`` two commits with each other, ``verify`` runs one in a sandbox.
``compose`` puts together what they need; it takes the agent's own parts (``gitsync.agent.parts``), so that a preview
is what the agent would do.
"""
