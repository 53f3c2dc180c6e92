"""gitsync: a GitOps sync agent for Helm releases and plain manifests."""
