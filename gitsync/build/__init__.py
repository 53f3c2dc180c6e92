"""A tree into desired objects, as Flux's kustomize-controller does it: kustomize, decryption, variables. No
cluster.

directories   a directory as a sync reads it: what a kustomization.yaml is for is built, the rest read
builder       a commit's tree and a spec -> desired objects; what is remembered
spec          what a build is told to do
inputs        what the files of builds take in memory
follow        which files a build reads: generated, overlay, references, kustomization, files, heads, known
remote        what is to be fetched for a build, by its URL; mounts has it beside the tree
opening       what is encrypted with SOPS, before kustomize and after it
objects       kustomize's output -> objects with their places: origins, substitute, envsubst, glob
blame         kustomize's complaints -> errors with file and line
limits        bounds
"""

from gitsync.build.builder import Builder
from gitsync.build.directories import Directories, KeysOf, SpecOf, as_it_is
from gitsync.build.limits import MAX_REMOTE_FILE
from gitsync.build.remote import Fetched, Remote, RemoteDirectory, RemoteFile, Remotes
from gitsync.build.spec import BuildSpec

__all__ = [
    "MAX_REMOTE_FILE",
    "BuildSpec",
    "Builder",
    "Directories",
    "Fetched",
    "KeysOf",
    "Remote",
    "RemoteDirectory",
    "RemoteFile",
    "Remotes",
    "SpecOf",
    "as_it_is",
]
