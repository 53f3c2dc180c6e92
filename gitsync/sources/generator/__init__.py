"""ArtifactGenerators, whose ExternalArtifacts are trees made of others.

``generators`` reconciles them: ``generating`` makes all artifacts of one, of the directories that its
``pathpattern`` means, ``assembling`` a single one, by ``copying`` what is named with ``globs`` in the ``listing``
of a source; ``externalartifacts`` tells the cluster of them. ``circles`` are generators that make something of what
they make themselves.
"""
