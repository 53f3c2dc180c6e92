"""What Helm does with a chart: unpack, load, merge values, render, sort out. The only user of helm_python (``native``).

Charts are anybody's, so they are opened in worker processes only, which do what ``calls`` offers. What the rest of
gitsync uses is pure data and small texts: ``rendered``, ``manifest``, ``hooks``, ``values``, ``composing``. None of
these may import ``native`` at its top: the agent would have the Helm SDK in its memory.
"""
