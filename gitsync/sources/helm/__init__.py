"""Chart repositories as Helm knows them: an index over HTTP, versions chosen in it, archives fetched and verified."""

from gitsync.sources.helm.index import MAX_INDEX
from gitsync.sources.helm.model import IndexEntry, IndexInfo, RepositorySpec, redacted
from gitsync.sources.helm.repositories import MAX_CHART, ChartRepositories

__all__ = ["MAX_CHART", "MAX_INDEX", "ChartRepositories", "IndexEntry", "IndexInfo", "RepositorySpec", "redacted"]
