"""What would come of a commit, without doing it.

``plan`` compares a commit with a cluster, ``difference`` one commit with another, ``verify`` syncs one to a sandbox.
``unserved`` says what a commit asks for in vain.
``compose`` puts together what they need; it takes the agent's own parts (``gitsync.agent.parts``), so that a preview is
what the agent would do.
"""
