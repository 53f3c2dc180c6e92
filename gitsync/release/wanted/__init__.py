"""Who wants an object: asked before one is deleted, and before one is taken from somebody.

``wantedobjects`` answers a ``question``; ``syncclaims`` is what of it a sync needs, ``releaseclaims`` what the actions
on a release need. ``holders`` says who has an object and goes on wanting it, ``takenobjects`` what others have taken of
a release. ``claims`` knows what syncs and releases want, ``tocome`` what those will want that are on their way (a
``comingsync`` is one of them), ``valueschanges`` of whom nobody can tell, since what he has values from is being
changed, ``reach`` whether they could have it; ``renderings`` waits for the ``revisionobjects`` of a revision that is
yet to be made.
"""
