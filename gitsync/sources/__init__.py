"""Where charts come from: HelmRepositories, OCIRepositories, and the trees of synced repositories.

- ``controller`` has the sources that are objects of a cluster reconciled - watch, queue, reconciler, a kind each - and
  tells those that use them of changes.
- ``locator`` is the one place that finds a release's chart, as a ``chart.ChartArtifact``. ``helmcharts`` reconciles
  HelmCharts, each of which stands for one; ``commitcharts`` finds them as a commit would have them.
- ``artifacts`` knows which commit of a synced repository a release uses; ``helmchart`` builds charts from its tree,
  with ``dependencies`` (folders of the same tree) and ``remote`` ones (of chart repositories); ``treefiles`` reads
  folders, ``valuesfiles`` are default values from other files.
- ``reconciler`` is what reconciling any source is: read it, ask its server, say how that went, tell who uses it;
  ``statuses`` writes that, for Receivers too; ``unsupported`` are the fields that keep one from being read, ``secrets``
  says how its server is reached.
- ``helmrepository`` reconciles HelmRepositories; ``repositories`` finds one by name or URL, live or in a commit;
  ``helm/`` speaks to chart repositories, those in registries too, and keeps what they hold.
- ``commitsources`` finds the sources of a kind as a commit would have them, and says what is missing.
- ``artifactsource`` is what sources that stand for one artifact have in common. ``ocirepository`` reconciles
  OCIRepositories; ``ociartifact`` finds what one stands for, live or in a commit; ``oci/`` has artifacts found, fetched
  and read as charts. ``buckets``, ``bucketartifact`` and ``bucket/`` are the same of Buckets; ``gitrepository``,
  ``gitartifact`` and ``git/`` of GitRepositories, but for those that name a synced repository.
- ``secretwatch`` has sources looked at when a Secret changes that they name; ``referred`` are the Secrets and
  ConfigMaps that releases and Kustomizations take something from, watched by ``datawatch``.
- ``trees`` finds what Kustomizations are built from, as a ``treeartifact``; ``composition`` makes one tree of several,
  and leaves out what ``.sourceignore`` says.
- ``generators`` reconciles ArtifactGenerators, whose ExternalArtifacts are trees made of others: ``generating`` makes
  all of one, of the directories that its ``pathpattern`` means, ``assembling`` a single one, by ``copying`` what is
  named with ``globs`` in the ``listing`` of a source. ``unpacking`` has archives of files unpacked, those of registries
  too.
- ``remotebases`` fetches what kustomizations name by URL, where that is allowed.
- ``turns`` shares requests out by namespace, ``store`` is what is kept on disk, ``finalizers`` takes off what
  Flux has put on.
"""
