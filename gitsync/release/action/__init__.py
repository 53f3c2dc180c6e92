"""Actions on a release: ``deploy`` installs, upgrades and rolls back, ``uninstall`` removes it.

``options`` are what its HelmRelease says about these; ``resource_conflicts`` refuses objects of others
(disableTakeOwnership); ``apply_revision`` applies the objects, and ``takeover`` notes which were there before;
``hooks`` runs hooks; ``inventory`` is the status' list of objects.
"""
