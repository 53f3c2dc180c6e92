"""Buckets by the API of S3: what is in one, and single objects; bounded, and asked with static keys.

- ``buckets`` asks them; ``listing`` reads what they answer, ``place`` is how one is reached, ``signature`` shows who
  asks.

Knows nothing of Kubernetes.
"""

from gitsync.s3.buckets import Buckets
from gitsync.s3.listing import Item
from gitsync.s3.place import Keys, Place

__all__ = ["Buckets", "Item", "Keys", "Place"]
