"""What Helm does with a chart: unpack, load, merge values, render, sort out. Uses helm_python, as kubeyaml alone does.

Charts are anybody's, so they are opened in worker processes only, which do what ``calls`` offers. What the rest of
gitsync uses is pure data and small texts: ``rendered``, ``manifest``, ``hooks``, ``values``, ``composing``.
"""
