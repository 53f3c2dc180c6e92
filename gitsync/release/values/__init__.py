"""The values of a release: ``references`` watches the ConfigMaps and Secrets that they come from, ``compose`` merges
them, ``reuse`` keeps those of the last revision (preserveValues); ``lines`` notes in which lines they are written.
``kubeconfig`` reads the other cluster that a release or Kustomization names.
"""
