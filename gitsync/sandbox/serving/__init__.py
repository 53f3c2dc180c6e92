"""The API as clients see it.

``server`` speaks HTTPS with a ``certificate`` of its own; ``requests`` takes requests apart, ``selectors`` what they
select by; ``watches`` tells what happens; ``views`` and ``columns`` show objects as tables; ``discovery`` and
``openapiv2`` say what is served.
"""
