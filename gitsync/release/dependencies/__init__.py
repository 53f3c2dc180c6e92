"""Which HelmRelease waits for which: ``index`` has them all with their graph, ``readyexpr`` asks readyExprs,
``waiters`` are woken, ``release_owners`` says whose a Helm release is that several HelmReleases name.
"""
