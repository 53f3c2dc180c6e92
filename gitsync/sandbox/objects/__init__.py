"""The objects, and what a write makes of one.

``objectstore`` keeps them with their resource versions and what happened lately; ``writing`` is the way of a write,
``patches`` and ``merging`` what it changes, ``ownership`` whose a field is, ``metadata`` what only the server writes.
"""
