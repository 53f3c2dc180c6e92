"""Whether manifests of our own kinds are what they should be: ``check`` says so field by field, with the ``rules`` that
types alone do not say; ``jsonschema`` is what editors and other programs check files by."""
