"""What is changed about rendered objects: ``postrender`` does it, by ``kustomization`` (spec.postRenderers) and
``commonmetadata`` (spec.commonMetadata).
"""
