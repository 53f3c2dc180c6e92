"""What others change about a release's objects: ``watch`` notices it, ``ignore`` says what does not count, ``correct``
puts it back, ``conflicts`` keeps that from going on for ever."""
