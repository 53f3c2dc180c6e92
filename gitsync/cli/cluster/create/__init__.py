"""``gitsync create``: an object from flags, which are named as those of Flux's own command.

``commands`` makes releases and Kustomizations, ``sources`` and ``notifications`` what their names say; ``creating`` is
what all have in common. ``flags`` are those of sources, ``groups`` has several of them together with the fields that
they become, ``secrets`` the Secrets that are made of some.
"""
