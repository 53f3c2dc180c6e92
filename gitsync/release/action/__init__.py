"""What is done about a release: ``deploy`` installs, upgrades and rolls back, ``uninstall`` takes it out again.

``options`` are what its HelmRelease says about that; ``resource_conflicts`` says whose objects it may not take over,
``apply_revision`` applies them, ``hooks`` runs those that go before and after; ``inventory`` is what of it is in the
cluster then.
"""
