"""Where charts come from: HelmRepositories, and the trees of synced repositories.

- ``locator`` is the one place that finds a release's chart, as a ``chart.ChartArtifact``.
- ``artifacts`` knows which commit of a synced repository a release uses; ``helmchart`` builds charts from its tree,
  with ``dependencies`` (folders of the same tree) and ``remote`` ones (of chart repositories); ``treefiles`` reads
  folders, ``valuesfiles`` are default values from other files.
- ``helmrepository`` keeps the HelmRepositories of a cluster current; ``repositories`` finds one by name or URL, live or
  in a commit; ``helm/`` speaks to chart repositories and keeps what they hold.
"""
