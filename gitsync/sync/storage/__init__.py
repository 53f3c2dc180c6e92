"""What a sync remembers: the ``inventory`` of what it has applied and the ``history`` of its commits, which ``packing``
packs. ``store`` says what keeps them, ``configmaps`` does that in the cluster.
"""
