"""What a Kustomization waits for: ``dependencies`` before it is applied, the ``health`` of objects afterwards;
``judging`` evaluates expressions for both. ``order`` tells the graph of releases about Kustomizations, ``outcome``
works out whether a Kustomization is on its way, ready, or has failed."""
