"""One commit: planned, applied in dependency order, waited for, pruned, written down.

``source`` reads a commit, ``placement`` and ``planning`` say what it changes, ``syncer`` carries it out with ``live``,
``prune`` and ``settle``; ``ownership`` is what it leaves on objects, ``inventory``, ``journal`` and ``store`` what it
remembers, ``report`` what it says. ``preview`` shows the same without doing it. Charts in the synced repository are
found by ``gitcharts``.
"""
