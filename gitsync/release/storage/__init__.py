"""Helm's release records: ``record`` packs and unpacks one, ``recordstore`` keeps them in the cluster, ``canonical``
makes the digests by which they are compared, ``shape`` checks the shape of one, ``recordmemory`` bounds the memory of
all that are read.
"""
