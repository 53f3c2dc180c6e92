"""Helm's release records: ``record`` packs and unpacks one, ``recordstore`` keeps them in the cluster, ``canonical``
makes the digests by which they are compared, ``shape`` says what one has to look like, ``recordmemory`` bounds what
those that are worked with take.
"""
