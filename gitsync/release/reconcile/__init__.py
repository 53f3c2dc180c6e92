"""One pass over one HelmRelease: facts -> decision -> action -> status.

- ``reconciler`` does the passes; ``request`` has what one pass is about.
- ``facts`` are what a decision rests on, ``gather`` finds them, ``state`` and ``decide`` are pure; ``foresee``
  follows the decisions for ``gitsync plan``.
- ``runner`` carries a decision out: ``install``, ``chart_tests``, ``remediation``, ``adopt``, ``uninstall``;
  ``engine`` has the parts that these work with.
- A pass may also end in ``waiting`` (for others), ``foreign`` (somebody else has changed the release), ``drifting``, or
  ``finalize`` (the HelmRelease is deleted). Only ``writer`` writes the status.
"""
