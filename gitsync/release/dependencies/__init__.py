"""Which HelmRelease waits for which: ``index`` has them all, ``order`` is the graph of them and of the Kustomizations,
which are ``others``, ``places`` says where each wait is written; ``blocked`` decides what holds one back, ``states``
says whether one is what it is to be, ``expected`` has what commits are about to apply, ``ancestry`` says which chart,
sync and commit one comes from, ``holds`` what keeps one from an object; ``readyexpr`` asks readyExprs, and ``answers``
keeps what they say; ``waiters`` are woken, ``release_owners`` says whose a Helm release is that several name.
"""
