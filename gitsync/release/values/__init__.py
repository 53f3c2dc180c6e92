"""The values of a release: ``references`` watches the ConfigMaps and Secrets that they come from, ``compose`` puts them
together, ``reuse`` keeps those of the last revision, where that is asked for; ``lines`` notes where they are written.
``kubeconfig`` is what else a Secret may hold that a release, or a Kustomization, refers to.
"""
