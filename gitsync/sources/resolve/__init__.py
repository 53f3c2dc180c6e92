"""What a named source has: as it is in the cluster, or as a commit would have it.

- ``artifacts`` knows which commit of a synced repository a release uses.
- ``gitartifact``, ``ociartifact`` and ``bucketartifact`` find the artifact of a source, ``repositories`` a chart
  repository, by name or URL; a ``treeartifact`` is the tree of any source that has one.
- ``owndirectory`` reads the directory of a sync without what its own GitRepository excludes.
- ``commitsources`` finds the sources of a kind as a commit would have them, and says what is missing.
"""
