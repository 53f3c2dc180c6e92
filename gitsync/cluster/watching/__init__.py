"""Watches: ``stream`` lists and follows objects of one kind into a ``watchcache``, and ``shared`` has one stream serve
all who want the same; ``crowd`` bounds what objects of gitsync's own kinds, which anybody may write, take in memory."""
