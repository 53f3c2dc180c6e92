"""One pass over one HelmRelease: facts -> decision -> action -> status.

- ``reconciler`` does the passes; ``request`` is what one is about.
- ``facts`` are what a decision rests on, ``gather`` finds them, ``state`` and ``decide`` are pure; ``foresee``
  follows the decisions for ``gitsync plan``.
- ``runner`` carries a decision out: ``install``, ``chart_tests``, ``remediation``, ``adopt``, ``uninstall``;
  ``engine`` is what these work with.
- ``waiting``, ``foreign``, ``drifting``, ``finalize`` are what else a pass may come to; ``writer`` alone writes the
  status.
"""
