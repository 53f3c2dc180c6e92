"""A Kubernetes API in this process, with its state in memory, for people without a cluster and for trials of a change.

    catalog, schema    what is served, recorded from a real API server; types of fields
    store              objects, resource versions, and what happened since
    api, writing       the verbs, and the way of a write through them
    patches, merging   merge, JSON and strategic patches; server-side apply
    ownership          whose a field is (managedFields)
    conforming, crds   what a schema says about an object; CustomResourceDefinitions
    server, requests, watches, discovery, views    HTTP
    world/             controllers: garbage, namespaces, and workloads that become ready

docs/sandbox.md says what it does not do. tests/contract holds it against a real control plane.
"""

from gitsync.sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]
