"""Where charts and trees come from: HelmRepositories, HelmCharts, Git and OCI repositories, Buckets, and what is made
of them.

- ``controller`` has the sources that are objects of a cluster reconciled - watch, queue, reconciler, a kind each -
  and tells those that use them of changes.
- ``locator`` is the one place that finds a release's chart, ``trees`` the one that finds what a Kustomization is
  built from; ``commit`` has both for a commit that nobody has carried out.
- ``kinds/`` has a reconciler for each kind, ``generator/`` that of ArtifactGenerators, which make trees of other
  trees.
- ``charts/`` builds charts of folders, or has them fetched, as HelmCharts and releases ask for them.
- ``resolve/`` says what a named source stands for: as it is in the cluster, or as a commit would have it.
- ``helm/``, ``git/``, ``oci/`` and ``bucket/`` speak to the servers, and keep what they hold.
- ``watch/`` has those looked at that refer to a Secret or ConfigMap when that changes.
- ``secrets`` says how a server is reached, ``cosignkeys`` whose signatures are asked for, ``unsupported`` are the
  fields that keep a source from being read. ``statuses`` writes how a source stands, for Receivers too,
  ``finalizers`` takes off what Flux has put on.
- ``composition`` makes one tree of several, and leaves out what ``.sourceignore`` says; ``unpacking`` has archives
  of files unpacked; ``remotebases`` fetches what kustomizations name by URL, where that is allowed.
- ``turns`` shares requests out by namespace, ``store`` is what is kept on disk.
"""
