"""What would come of a commit, without doing it.

``plan`` compares a commit with a cluster, ``difference`` one commit with another, ``verify`` syncs one to a sandbox.
``unfold`` says which Kustomizations there are once a commit is carried out in a cluster, and what each wants, ``syncs``
what each sync of these would do;
``kustomizations`` puts the objects of all of them together without a cluster, and ``order`` says in which order they
have their turn. ``unserved`` says what a commit asks for in vain, ``said_once`` what many Kustomizations lack for one
reason, and ``composed`` where in the repository a file is that an artifact was made of.
``compose`` puts together what they need; it takes the agent's own parts (``gitsync.agent.parts``), so that a preview is
what the agent would do.
Pages ask by ``asking``, which has each preview made by the program ``answering``.
"""
