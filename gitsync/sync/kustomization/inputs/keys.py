"""The keys that a Kustomization's files are decrypted with. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.errors import ValuesMissing
from gitsync.logs import keep_secret
from gitsync.sops import BadKey, Keys
from gitsync.sources.watch.referred import Referred

#: The ending that every name of an entry has.
_ANY = ""


def keys_secret(kustomization: Kustomization, default: ObjectKey | None) -> ObjectKey | None:
    """The Secret with the keys: the one that its decryption names, or else ``default``, of which only keys of age
    count. None when there is nothing to decrypt, or no Secret."""
    decryption = kustomization.spec.decryption
    if decryption is None:
        return None
    if decryption.secret_ref is None:
        return default
    return ObjectKey("", "Secret", kustomization.metadata.namespace, decryption.secret_ref.name)


def keys_of(kustomization: Kustomization, found: Referred, default: ObjectKey | None = None) -> Keys | None:
    """The keys; None when nothing is to be decrypted. ``found`` has the Secret.

    Raises: ValuesMissing for a Secret that does not exist or holds what is no key.
    """
    decryption = kustomization.spec.decryption
    if decryption is None:
        return None
    key = keys_secret(kustomization, default)
    if key is None:
        return Keys()
    if decryption.secret_ref is None:
        return keys_in(key, found)
    return _keys(key, found, "decryption.secretRef", _ANY)


def keys_in(key: ObjectKey, found: Referred) -> Keys:
    """The keys in the Secret of the settings. Only keys of age count: any other kind would be a login that every tenant
    could have the agent use. Raises: ValuesMissing."""
    return _keys(key, found, "the setting sops_age_secret", ".agekey")


def _keys(key: ObjectKey, found: Referred, named_by: str, ending: str) -> Keys:
    secret = found[key]
    if secret is None:
        raise ValuesMissing(
            f"{key}, which {named_by} names, does not exist",
            hint="create it with the private keys: entries NAME.agekey or NAME.asc",
        )
    data = {name: value for name, value in (secret.get("data") or {}).items() if name.endswith(ending)}
    try:
        entries = {name: base64.b64decode(value) for name, value in data.items()}
        keep_secret(_texts(entries))
        keys = Keys.of(str(key), entries)
    except BadKey as error:
        raise ValuesMissing(f"{key}, which {named_by} names: {error}", hint="correct the Secret") from None
    except binascii.Error:
        return Keys()  # never so: the API server only takes base64
    keep_secret(frozenset(value for variables in keys.environment.values() for value in variables.values()))
    return keys


def _texts(entries: Mapping[str, bytes]) -> frozenset[str]:
    """The texts that are never shown: whole entries, and each of their lines."""
    texts = {data.decode("utf-8", "replace") for data in entries.values()}
    return frozenset(line.strip() for text in texts for line in (text, *text.splitlines()) if line.strip())
