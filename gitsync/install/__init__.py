"""Installing gitsync into a cluster, looking whether all is well there, and taking it out again.

``bundle`` makes the manifests out of config/, ``installer`` and ``uninstaller`` put them there and take them away,
``checks`` looks at what an agent needs, ``reach`` whether the servers of sources can be reached.
"""
