"""How a source is reconciled, a kind a module.

``reconciler`` is what reconciling any source is: read it, ask its server, say how that went, tell who uses it;
``artifactsource`` what those have in common that stand for one artifact: ``ocirepository``, ``gitrepository`` (but
for those that name a synced repository), ``buckets`` and ``helmcharts``. ``helmrepository`` is an index of many
charts, or a registry with them.
"""
