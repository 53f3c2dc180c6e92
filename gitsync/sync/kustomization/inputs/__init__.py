"""What a Kustomization asks of the build: ``building`` makes the build's spec of it, with the ``inputs`` that it refers
to in the cluster: ``variables`` to substitute and ``keys`` to decrypt with (``rootkeys`` for the sync of the settings).
"""
