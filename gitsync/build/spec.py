"""What a build is told to do. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from gitsync.sops import Keys


@dataclass(frozen=True)
class BuildSpec:
    """All of a Kustomization that shapes its objects, as Flux has it (Kustomization v1, "Build" and "Post build").

    ``path`` is a directory of the tree: ``./clusters/prod``; "" and ``./`` are the root. ``labels`` and
    ``annotations`` are those of ``commonMetadata``. ``images`` and ``patches``, and the deprecated kinds of patches,
    are as in the manifest.

    ``variables`` are those of ``postBuild``, with their values, and None without one. Some of the values may be secret:
    none is in any error. ``always_substitute`` is the strategy Always: also without variables.
    ``strict_substitution``: a variable that is not set and has no default is an error. ``owner`` is for whom it is
    built; it changes nothing in the result, but owners take turns.

    ``decrypts``: what is encrypted with SOPS is decrypted with ``keys``; when these are None, because they are not at
    hand, it stays encrypted, and is marked as ``sealed``.
    """

    path: str = ""
    target_namespace: str = ""
    name_prefix: str = ""
    name_suffix: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    components: tuple[str, ...] = ()
    ignore_missing_components: bool = False
    images: tuple[dict[str, Any], ...] = ()
    patches: tuple[dict[str, Any], ...] = ()
    patches_strategic_merge: tuple[dict[str, Any], ...] = ()
    patches_json6902: tuple[dict[str, Any], ...] = ()
    build_metadata: tuple[str, ...] = ()
    variables: Mapping[str, str] | None = field(default=None, repr=False)
    always_substitute: bool = False
    strict_substitution: bool = True
    decrypts: bool = False
    keys: Keys | None = field(default=None, repr=False)
    owner: str = ""

    @cached_property
    def digest(self) -> str:
        """A digest of all fields, keys by their own digest; it shows none of the values."""
        fields = asdict(replace(self, keys=None, owner=""))
        fields["keys"] = self.keys.digest if self.keys is not None else None
        text = json.dumps(fields, sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def substitutes(self) -> bool:
        """Whether variables are replaced at all."""
        return self.variables is not None and (bool(self.variables) or self.always_substitute)
