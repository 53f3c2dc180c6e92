"""Which HelmRelease waits for which: ``index`` has them all, ``order`` is the graph of them and of the Kustomizations,
which are ``others``, ``places`` says where each wait is written; ``states`` says whether one is what it is
to be, ``holds`` what keeps one from an object; ``readyexpr`` asks readyExprs, ``waiters`` are woken, ``release_owners``
says whose a Helm release is that several HelmReleases name.
"""
