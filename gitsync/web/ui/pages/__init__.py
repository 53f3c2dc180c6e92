"""The pages: each reads what it shows, and fills its template. ``objects`` has those of what is in the cluster,
``commits`` of what commits did, ``pending`` of what is not synced yet, and ``releases`` a release's revisions and
values, for those whose own rights serve the page.
"""
