"""What others change about a release's objects: ``watch`` notices it, ``optout`` says whose objects do not count,
``correct`` puts it back, ``conflicts`` keeps that from going on for ever."""
