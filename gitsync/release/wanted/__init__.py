"""Who wants an object: asked before one is deleted, and before one is taken from somebody.

An example: a commit moves a Deployment from the chart of release a to that of release b. a is upgraded first, and its
new manifest lacks the Deployment. Before a deletes it, it asks here. b is on its way to the commit, so its new revision
is rendered, and has the Deployment: a leaves it in place, and b takes it over.

- ``wantedobjects`` answers a ``question``: who wants these objects? ``syncclaims`` is the view of one sync,
  ``releaseclaims`` that of the actions on one release.
- ``claims`` has what each sync and release wants now. ``tocome`` works out what those will want that are on their way
  to something else: a ``comingsync``, or the ``revisionobjects`` of a revision yet to be made, which ``renderings``
  waits for. ``valueschanges`` notes those of which it is not known, since their values are being changed. ``reach``
  says whether a claimant has the rights to have an object at all.
- ``holders`` says who has an object and goes on wanting it; ``takenobjects`` remembers what was taken from a release.
"""
