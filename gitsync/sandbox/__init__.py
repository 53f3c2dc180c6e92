"""A Kubernetes API in this process, with its state in memory, for people without a cluster and for trials of a change.

    serving/      HTTP: requests, discovery, watches, tables
    world/        controllers: garbage, namespaces, and workloads that become ready
    api           the verbs
    objects/      what a write makes of an object: patched, merged, filled in, owned field by field, kept
    kinds/        what is served, recorded from a real API server or brought by definitions; schemas, defaults, rules
    failures      what is answered to what cannot be done

docs/sandbox.md says what it does not do. tests/contract holds it against a real control plane.
"""

from gitsync.sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]
