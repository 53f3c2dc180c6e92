"""Drift, changes that others make to a release's objects: ``watch`` notices it, ``optout`` says which objects do not
count, ``correct`` puts it back, ``conflicts`` pauses that when somebody changes an object again and again."""
