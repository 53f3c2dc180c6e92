"""Changes of rendered objects: ``postrender`` applies spec.postRenderers (``kustomization``) and
spec.commonMetadata (``commonmetadata``).
"""
