"""Where charts and trees come from: HelmRepositories, HelmCharts, Git and OCI repositories, Buckets, and what is made
of them.

- ``controller`` watches the sources in a cluster, has each kind reconciled, and tells those that use a source of
  changes.
- ``locator`` is the one place that finds a release's chart, ``trees`` the one that finds the tree that a Kustomization
  is built from; ``commit`` has both for previews of a commit.
- ``kinds/`` has a reconciler for each kind, ``generator/`` that of ArtifactGenerators, which make trees of other
  trees.
- ``charts/`` builds charts of folders, or has them fetched, as HelmCharts and releases ask for them.
- ``resolve/`` finds the artifact of a named source: as it is in the cluster, or as a commit would have it.
- ``helm/``, ``git/``, ``oci/`` and ``bucket/`` speak to the servers, and keep what they have fetched.
- ``watch/`` watches Secrets and ConfigMaps for the sources, releases and Kustomizations that refer to them.
- ``secrets`` reads logins, certificates and proxies from Secrets, ``cosignkeys`` the keys for signatures;
  ``unsupported`` are the fields that are refused. ``statuses`` writes the statuses of sources and Receivers,
  ``finalizers`` removes Flux's finalizer.
- ``composition`` makes one tree of several, without what ``.sourceignore`` leaves out; ``unpacking`` has archives
  unpacked; ``remotebases`` fetches remote bases, where they are allowed.
- ``turns`` shares requests out by namespace, ``store`` keeps files on disk.
"""
