"""Which HelmRelease waits for which.

- ``index`` has all HelmReleases; ``order`` is the graph of them and of Kustomizations (the ``others``), ``places`` says
  in which line of Git each dependency is written.
- ``blocked`` decides what holds a release back; ``readyexpr`` evaluates readyExprs, and ``answers`` keeps the results;
  ``waiters`` are the releases to wake when others change.
- ``states`` says whether a release has come to its wanted state; ``expected`` has what commits are about to apply;
  ``ancestry`` says which chart, sync and commit a release comes from.
- ``holds`` is what keeps a release from an object; ``release_owners`` decides between HelmReleases that name the same
  Helm release.
"""
