"""Logins that end, by the documented calls of those who give them: clouds for their registries, GitHub for its Apps.

- ``giver`` is what the rest of gitsync asks: it knows which login is for which server, and keeps what was given
  (``kept``) as long as it is good.
- ``aws``, ``azure``, ``gcp`` and ``githubapp`` have one service's calls each; ``asking`` makes one call: bounded, and
  without a word of what was sent in its errors.
- ``account`` is a ServiceAccount in whose name a cloud is asked; without one it is the agent's own pod, by what its
  environment says (``pod``).

Knows nothing of Kubernetes' API: an account's tokens are somebody else's to get.
"""

from gitsync.logins.account import Account
from gitsync.logins.githubapp import GitHubApp
from gitsync.logins.giver import Logins, stranger

__all__ = ["Account", "GitHubApp", "Logins", "stranger"]
