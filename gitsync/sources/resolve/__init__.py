"""What a named source stands for: as it is in the cluster, or as a commit would have it.

- ``artifacts`` knows which commit of a synced repository a release uses.
- ``gitartifact``, ``ociartifact`` and ``bucketartifact`` find what one of these stands for, ``repositories`` a
  chart repository, by name or URL; a ``treeartifact`` is what any that stands for a tree comes to.
- ``commitsources`` finds the sources of a kind as a commit would have them, and says what is missing.
"""
