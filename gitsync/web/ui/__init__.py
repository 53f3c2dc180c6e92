"""The page: what the cluster has, what waits and why; of ``gitsync ui`` on loopback and with its user's own rights, of
the agent for readers.

``server`` puts the parts together; ``guard`` says who may ask, ``connections`` how many may at once; ``pages`` are
what is answered, ``answers`` what all of them share, ``actions`` and ``rollbacks`` what may be done, ``stream`` tells
browsers of changes. All is made of the ``board`` (watches; ``trim`` says what of an object is kept), of ``looks`` at
single objects and of ``questions`` to the repository. ``views``, ``values``, ``changes`` and ``waterfall`` say what of
them a page shows, ``drawing`` and ``layout`` draw the graph, and ``render`` fills the templates.
"""

from gitsync.web.ui.guard import Readers
from gitsync.web.ui.server import Page

__all__ = ["Page", "Readers"]
