"""gitsync: a GitOps sync agent for Helm releases and plain manifests."""

__version__ = "0.1.0"
