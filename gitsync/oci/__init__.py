"""Registries by the OCI distribution specification: tags, manifests and blobs of a repository, verified and bounded.

- ``registry`` asks them, ``manifest`` and ``digest`` read what they answer, ``repository`` is how one is reached.
- ``tokens`` gets in, by what the answer 401 asks for (``challenge``); ``dockerconfig`` has the credentials for it,
  or a ``lender`` gives some that end.

Knows nothing of Kubernetes: an artifact is a manifest with layers, whatever they are for.
"""

from gitsync.oci.dockerconfig import DockerConfig, Login
from gitsync.oci.lender import Lease, Lender
from gitsync.oci.manifest import Descriptor, Manifest
from gitsync.oci.registry import Registry
from gitsync.oci.repository import Repository

__all__ = ["Descriptor", "DockerConfig", "Lease", "Lender", "Login", "Manifest", "Registry", "Repository"]
