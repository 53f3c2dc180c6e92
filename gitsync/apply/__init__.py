"""Objects into a cluster and out of it, for syncs and releases alike: this room knows neither commits nor HelmReleases.

- ``applier`` applies server-side, in the order of ``order``, with what ``fieldmanagers`` takes over (``fieldsv1`` has
  sets of fields); ``clientside`` patches as Helm did before; ``recreate`` is for changes that need a new object.
- ``ownership`` reads whose an object is, ``claimant`` names a sync or release that may want it, ``delete`` alone
  decides what may be deleted, ``deleted`` waits until that is gone; ``retention`` keeps PersistentVolumeClaims that
  would go with another object; ``stuckpods`` deletes pods that block the update of their StatefulSet.
- ``live`` reads what is there, ``wait`` waits for what was applied, ``readiness`` says when that counts as ready;
  ``crds``, ``served`` (their kinds) and ``namespaces`` are about what other objects need first.
"""
