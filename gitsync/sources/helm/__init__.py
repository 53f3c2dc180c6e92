"""Chart repositories as Helm knows them: an index over HTTP, versions chosen in it, archives fetched and verified."""

from gitsync.http import redacted
from gitsync.sources.helm.index import MAX_INDEX
from gitsync.sources.helm.repositories import MAX_CHART, ChartRepositories
from gitsync.sources.helm.spec import IndexEntry, IndexInfo, RepositorySpec

__all__ = ["MAX_CHART", "MAX_INDEX", "ChartRepositories", "IndexEntry", "IndexInfo", "RepositorySpec", "redacted"]
