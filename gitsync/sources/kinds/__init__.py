"""How sources are reconciled, a module for each kind.

``reconciler`` is the same for all: read the source, ask its server, report how that went, have what uses it reconciled.
``artifactsource`` adds what kinds with one artifact share: ``ocirepository``, ``gitrepository`` (if it names a synced
repository, it has that one's commit), ``buckets`` and ``helmcharts``. ``helmrepository`` is an index of many charts,
or a registry with them.
"""
