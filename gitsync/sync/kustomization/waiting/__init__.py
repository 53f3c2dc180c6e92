"""What a Kustomization waits for: ``dependencies`` before it is applied, the ``health`` of objects afterwards;
``judging`` is what expressions say of both. ``order`` is what the graph of releases has to know of that, ``outcome``
whether one is on its way, or what it has come to."""
