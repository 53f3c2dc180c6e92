"""The page: what the cluster has, what waits and why; of ``gitsync ui`` on loopback and with its user's own rights, of
the agent for readers.

``server`` puts the parts together; ``guard`` says who may ask, ``handlers`` have the pages, ``answers`` what all of
them share, ``actions`` what may be done, ``stream`` tells browsers of changes. All is made of the ``board`` (watches;
``trim`` says what of an object is kept) and of ``looks`` at single objects; ``views`` and ``values`` say what of them a
page shows, ``drawing`` and ``layout`` draw the graph, and ``render`` fills the templates.

``commitpages`` are those of commits, with a ``waterfall`` of how each went, and ``pendingpages`` of what is not synced
yet; ``questions`` are what the repository is asked for them, ``changes`` what is shown of differences.
``releasepages`` have a release's revisions and values, and ``rollbacks`` bring one back.
"""

from gitsync.web.ui.guard import Readers
from gitsync.web.ui.server import Page

__all__ = ["Page", "Readers"]
