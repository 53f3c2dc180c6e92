"""What is encrypted with SOPS: decrypted by the real sops where Flux does so, and named where it cannot be."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitsync.build import Builder, BuildSpec, Directories, KeysOf
from gitsync.build.kustomization import as_yaml
from gitsync.errors import SopsUnavailable, ValuesMissing
from gitsync.kubeyaml import load
from gitsync.kustomize import Kustomizer
from gitsync.manifests import Desired, ManifestReader
from gitsync.sops import Format, Keys, Sops
from tests.build.trees import COMMIT, built, tree
from tests.sopsfiles import AgeKey, age_key, decrypted, encrypted, encrypted_for_pgp, keys, program, sops

SECRET = """
apiVersion: v1
kind: Secret
metadata:
  name: login
stringData:
  password: hunter2-is-secret
  attempts: "5"
"""
SECRET_ONLY = ("--encrypted-regex", "^(data|stringData)$")


@pytest.fixture(scope="module")
def key() -> AgeKey:
    return age_key()


@pytest.fixture(scope="module")
def builder() -> Builder:
    return Builder(Kustomizer(), sops=sops())


async def opened(files: Mapping[str, str | bytes], with_keys: Keys | None, builder: Builder, **spec: Any) -> Desired:
    return await builder.build(COMMIT, tree(files), BuildSpec(decrypts=True, keys=with_keys, **spec))


def manifests(desired: Desired) -> list[dict[str, Any]]:
    assert not desired.errors
    return [item.manifest for item in desired.objects.values()]


async def test_an_object_is_decrypted_whatever_kustomize_and_variables_do_to_it(key: AgeKey, builder: Builder) -> None:
    """Its namespace and name are another then, so that its own MAC fits no more: that of its file is checked."""
    text = SECRET + "  host: ${HOST}\n"
    files: dict[str, str | bytes] = {
        "kustomization.yaml": "namespace: web\nnamePrefix: x-\nresources: [secret.yaml]\n",
        "secret.yaml": encrypted(text, key, "yaml", *SECRET_ONLY),
    }
    desired = await opened(files, keys(key), builder, variables={"HOST": "db"}, labels={"team": "a"})
    assert manifests(desired) == [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "x-login", "namespace": "web", "labels": {"team": "a"}},
            "stringData": {"password": "hunter2-is-secret", "attempts": "5", "host": "db"},
        }
    ]
    (item,) = desired.objects.values()
    assert (item.sops, str(item.origin)) == ("opened", "secret.yaml:1:1")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(st.characters(codec="utf-8"), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(st.text("abcdef", min_size=1, max_size=6), VALUES, min_size=1, max_size=4))
async def test_generated_documents_come_to_what_sops_itself_makes_of_them(
    content: dict[str, Any], key: AgeKey, builder: Builder
) -> None:
    value = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": content}
    text = encrypted(as_yaml(value).encode(), key, "yaml", "--encrypted-regex", "^spec$")
    (manifest,) = manifests(await opened({"thing.yaml": text}, keys(key), builder))
    assert manifest == load(decrypted(text, key).decode())


@pytest.mark.parametrize("as_is", ["yaml", "json"])
async def test_all_of_an_object_may_be_encrypted_but_what_it_is(as_is: Format, key: AgeKey, builder: Builder) -> None:
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "0644", "y": "yes"}}
    text = encrypted(json.dumps(value).encode(), key, as_is, "--unencrypted-regex", "^(apiVersion|kind|metadata)$")
    name = f"a.{as_is}"
    files: dict[str, str | bytes] = {"kustomization.yaml": f"resources: [{name}]", name: text}
    desired = await opened(files, keys(key), builder)
    assert manifests(desired) == [value]
    assert [item.sops for item in desired.objects.values()] == ["opened"]


async def test_documents_of_a_file_are_decrypted_together_or_each_by_itself(key: AgeKey, builder: Builder) -> None:
    other = age_key()
    pair = SECRET + "---" + SECRET.replace("login", "other")
    third, plain = SECRET.replace("login", "third"), SECRET.replace("login", "plain")
    files: dict[str, str | bytes] = {
        "together.yaml": encrypted(pair, key, "yaml", *SECRET_ONLY),
        "apart.yaml": encrypted(third, other, "yaml", *SECRET_ONLY) + b"---" + plain.encode(),
    }
    desired = await opened(files, keys(key, other), builder)
    found = {item["metadata"]["name"]: item["stringData"]["password"] for item in manifests(desired)}
    assert found == dict.fromkeys(("login", "other", "third", "plain"), "hunter2-is-secret")
    assert {item.key.name: item.sops for item in desired.objects.values()} == {
        **dict.fromkeys(("login", "other", "third"), "opened"),
        "plain": "",
    }


FILES: Mapping[str, tuple[Format, bytes]] = {
    "settings.yaml": ("yaml", b"a: 1\nb:\n- x\n"),
    "settings.json": ("json", b'{"a": "1"}'),
    "vars.env": ("dotenv", b"USER=ada\nPASSWORD=hunter2\n"),
    "php.ini": ("ini", b"[main]\nuser = ada\n"),
    "key.bin": ("binary", bytes(range(256))),
    ".dockerconfigjson": ("json", b'{"auths": {}}'),
}


async def test_files_of_generators_are_what_they_would_be_in_plain_text(key: AgeKey, builder: Builder) -> None:
    """Also the suffix of the Secret's name, which kustomize works out from its content."""
    generator = "secretGenerator:\n- name: a\n  files: [{}]\n  envs: [vars.env]\n".format(
        ", ".join(name for name in FILES if name != "vars.env")
    )
    closed = {name: encrypted(data, key, as_is) for name, (as_is, data) in FILES.items()}
    plain = {name: decrypted(data, key, FILES[name][0]) for name, data in closed.items()}
    assert plain["key.bin"] == FILES["key.bin"][1]
    expected = manifests(await built({"kustomization.yaml": generator, **plain}))
    desired = await opened({"kustomization.yaml": generator, **closed}, keys(key), builder)
    assert manifests(desired) == expected
    assert [item.sops for item in desired.objects.values()] == ["opened"]


async def test_an_entry_of_a_secret_may_be_an_encrypted_text(key: AgeKey, builder: Builder) -> None:
    """Where a generator gives it a name that says another format than the file's, and where it is written so."""
    text = encrypted(b"a: 1\n", key)
    entry = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}, "data": {"c.yaml": _base64(text)}}
    files: dict[str, str | bytes] = {
        "kustomization.yaml": "secretGenerator: [{name: a, files: [token=x.yaml]}]\nresources: [b.yaml]\n",
        "x.yaml": text,
        "b.yaml": json.dumps(entry),
    }
    found = {
        name: value
        for item in manifests(await opened(files, keys(key), builder))
        for name, value in item["data"].items()
    }
    assert found == dict.fromkeys(("token", "c.yaml"), _base64(decrypted(text, key)))


async def test_a_patch_is_decrypted_and_what_it_comes_into_is_known(key: AgeKey, builder: Builder) -> None:
    def map_of(name: str) -> str:
        return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  host: db\n"

    files: dict[str, str | bytes] = {
        "kustomization.yaml": "resources: [a.yaml, b.yaml]\npatches: [{path: patch.yaml}]\n",
        "a.yaml": map_of("a"),
        "b.yaml": map_of("b"),
        "patch.yaml": encrypted(map_of("a").replace("host: db", "password: hunter2"), key),
    }
    desired = await opened(files, keys(key), builder)
    assert [item["data"] for item in manifests(desired)] == [{"host": "db", "password": "hunter2"}, {"host": "db"}]
    assert {item.key.name: item.sops for item in desired.objects.values()}["a"] == "opened"


async def test_what_is_to_stay_encrypted_does(key: AgeKey, builder: Builder) -> None:
    """With decryption, and without it. Kubernetes' own kinds have no field for what SOPS has written beside, so that
    goes, as with Flux; others may have one."""
    text = encrypted(SECRET.replace("  name:", f"  annotations: {{{DISABLED}}}\n  name:"), key, "yaml", *SECRET_ONLY)
    thing = text.replace(b"apiVersion: v1", b"apiVersion: example.com/v1").replace(b"kind: Secret", b"kind: Thing")
    decrypting = await opened({"a.yaml": text, "b.yaml": thing}, Keys("Secret 'a/b'"), builder)
    plainly = await built({"a.yaml": text.decode(), "b.yaml": thing.decode()})
    for desired in (decrypting, plainly):
        found = {item["kind"]: item for item in manifests(desired)}
        assert found["Secret"]["stringData"]["password"].startswith("ENC[")
        assert found["Secret"].keys() == {"apiVersion", "kind", "metadata", "stringData"}
        assert found["Thing"]["sops"]["mac"].startswith("ENC[")


DISABLED = "kustomize.toolkit.fluxcd.io/decrypt: disabled"


async def test_a_key_that_is_missing_is_named_with_the_place_and_nothing_is_built(
    key: AgeKey, builder: Builder
) -> None:
    files: dict[str, str | bytes] = {
        "plain.yaml": SECRET.replace("login", "plain"),
        "sub/secret.yaml": "# ours\n" + encrypted(SECRET, key, "yaml", *SECRET_ONLY).decode(),
    }
    desired = await opened(files, keys(age_key()), builder)
    assert not desired.objects
    assert [str(error) for error in desired.errors] == [
        f"sub/secret.yaml:2:1: Secret login: encrypted for {key.recipient}; none of the keys in Secret "
        "'flux-system/sops-age' opens it (add the private key to the Secret, or encrypt it for a key that is there: "
        "sops updatekeys)"
    ]
    nobody = await opened(files, Keys(), builder)
    assert "spec.decryption names no Secret with keys" in str(nobody.errors[0])


@pytest.mark.parametrize("name", ["plain.env", "data.json"])
async def test_a_generators_file_without_its_key_is_named(name: str, key: AgeKey, builder: Builder) -> None:
    as_is, data = {"plain.env": FILES["vars.env"], "data.json": FILES["settings.json"]}[name]
    files: dict[str, str | bytes] = {
        "kustomization.yaml": f"secretGenerator: [{{name: a, files: [{name}]}}]\n",
        name: encrypted(data, key, as_is),
    }
    desired = await opened(files, keys(age_key()), builder)
    assert [(error.origin.path, key.recipient in error.message) for error in desired.errors] == [(name, True)]


def _changed(text: bytes) -> bytes:
    return text.replace(b"name: login", b"name: other")


def _shortened(text: bytes) -> bytes:
    return b"".join(line for line in text.splitlines(keepends=True) if b"attempts" not in line)


def _damaged(text: bytes) -> bytes:
    return text.replace(b"password: ENC[AES256_GCM,data:", b"password: ENC[AES256_GCM,data:AAAA")


@pytest.mark.parametrize("change", [_changed, _shortened, _damaged])
async def test_what_was_changed_after_it_was_encrypted_is_not_used(change: Any, key: AgeKey, builder: Builder) -> None:
    text = change(encrypted(SECRET, key, "yaml", *SECRET_ONLY))
    desired = await opened({"a.yaml": text}, keys(key), builder)
    assert not desired.objects
    (error,) = desired.errors
    assert "changed after it was encrypted" in error.message
    assert str(error.origin) == "a.yaml:1:1"


async def test_a_value_is_decrypted_where_it_was_encrypted_and_nowhere_else(key: AgeKey, builder: Builder) -> None:
    """Nobody gets a password to see by moving it, encrypted, to where he may read it."""
    text = encrypted(SECRET, key, "yaml", *SECRET_ONLY)
    value = load(text.decode())
    password, mac = value["stringData"]["password"], value["sops"]["mac"]
    shown = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": password}}
    patch = json.dumps([{"op": "add", "path": "/metadata/annotations", "value": {"x": password}}])
    files: dict[str, str | bytes] = {
        "secret.yaml": text,
        "shown.yaml": json.dumps(shown),
        "copied.yaml": json.dumps({**shown, "metadata": {"name": "b"}, "sops": {"mac": mac}}),
        "kustomization.yaml": json.dumps({"resources": ["secret.yaml"]}),
    }
    for resources, patches in (
        (["shown.yaml"], []),
        (["copied.yaml"], []),
        ([], [{"patch": patch, "target": {"kind": "Secret"}}]),
    ):
        kustomization = {"resources": ["secret.yaml", *resources], "patches": patches}
        desired = await opened({**files, "kustomization.yaml": json.dumps(kustomization)}, keys(key), builder)
        assert not desired.objects
        assert "encrypt the object as a whole" in desired.errors[0].hint


async def test_items_of_an_encrypted_list_are_not_applied_encrypted(key: AgeKey, builder: Builder) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": [load(SECRET)]}
    text = encrypted(json.dumps(items).encode(), key, "yaml", *SECRET_ONLY)
    (error,) = (await opened({"a.yaml": text}, keys(key), builder)).errors
    assert "encrypted with SOPS, but not the object" in error.message


async def test_files_that_flux_does_not_decrypt_are_named(key: AgeKey, builder: Builder) -> None:
    files: dict[str, str | bytes] = {
        "kustomization.yaml": "configMapGenerator: [{name: a, files: [x.yaml]}]\n",
        "x.yaml": encrypted(b"a: 1\n", key),
    }
    (error,) = (await opened(files, keys(key), builder)).errors
    assert str(error.origin) == "x.yaml:1"
    assert "Flux decrypts the files of secretGenerator" in error.hint


async def test_without_keys_at_hand_what_is_encrypted_is_known_and_no_error(key: AgeKey, builder: Builder) -> None:
    nameless = encrypted(SECRET.replace("  name: login\n", "  labels: {}\n"), key, "yaml", *SECRET_ONLY)
    files: dict[str, str | bytes] = {
        "a.yaml": encrypted(SECRET, key, "yaml", *SECRET_ONLY),
        "b.yaml": SECRET.replace("login", "plain"),
    }
    desired = await opened(files, None, builder)
    assert {item.key.name: item.sops for item in desired.objects.values()} == {"login": "sealed", "plain": ""}
    assert not desired.errors
    (error,) = (await opened({**files, "c.yaml": nameless}, None, builder)).errors
    assert error.origin.path == "c.yaml"
    wholly = await opened({**files, "c.yaml": encrypted(SECRET.replace("login", "third"), key)}, None, builder)
    assert not wholly.errors
    assert {item.key.name for item in wholly.objects.values()} == {"login", "plain"}
    (warning,) = wholly.warnings
    assert (str(warning.origin), warning.key) == ("c.yaml:1:1", None)
    assert "it is not known what it is" in warning.message


async def test_nothing_is_decrypted_where_no_decryption_is_asked_for(key: AgeKey, builder: Builder) -> None:
    desired = await built({"a.yaml": encrypted(SECRET, key, "yaml", *SECRET_ONLY)}, builder=builder)
    assert [error.message for error in desired.errors] == ["encrypted with SOPS, and nothing decrypts it here"]


async def test_a_commit_that_changes_one_file_decrypts_one(key: AgeKey, tmp_path: Path) -> None:
    counting = Builder(Kustomizer(), sops=Sops(_counting(tmp_path)))
    names = [f"s{number}.yaml" for number in range(5)]
    files = {name: encrypted(SECRET.replace("login", name[:2]), key, "yaml", *SECRET_ONLY) for name in names}
    assert len(manifests(await opened(files, keys(key), counting))) == 5
    assert _runs(tmp_path) == 5
    files["s0.yaml"] = encrypted(SECRET.replace("login", "s0").replace("hunter2", "new"), key, "yaml", *SECRET_ONLY)
    assert "new-is-secret" in str(manifests(await opened(files, keys(key), counting)))
    assert _runs(tmp_path) == 6
    await opened(files, keys(key, age_key()), counting)
    assert _runs(tmp_path) == 11


async def test_the_same_secret_has_another_digest_with_other_keys(key: AgeKey, builder: Builder) -> None:
    """What is written into a status tells nobody who has no key whether a guess is right."""
    files = {"a.yaml": encrypted(SECRET, key, "yaml", *SECRET_ONLY)}
    plain = (await built({"a.yaml": SECRET})).digest
    digests = {(await opened(files, with_keys, builder)).digest for with_keys in (keys(key), keys(key, age_key()))}
    assert len(digests | {plain}) == 3


async def test_a_pgp_key_opens_without_gnupg(tmp_path: Path, builder: Builder) -> None:
    if shutil.which("gpg") is None:
        pytest.skip("there is no gpg to make a key with")
    text, private, fingerprint = await asyncio.to_thread(encrypted_for_pgp, SECRET, tmp_path, *SECRET_ONLY)
    with_keys = Keys.of("Secret 'a/pgp'", {"team.asc": private})
    (manifest,) = manifests(await opened({"a.yaml": text}, with_keys, builder))
    assert manifest["stringData"]["password"] == "hunter2-is-secret"
    (error,) = (await opened({"a.yaml": text}, keys(age_key()), builder)).errors
    assert f"encrypted for pgp {fingerprint}; none of the keys" in error.message


async def test_a_missing_program_is_named(key: AgeKey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SopsUnavailable, match=r"^a.yaml:1: there is no sops on the PATH"):
        await opened({"a.yaml": encrypted(SECRET, key, "yaml", *SECRET_ONLY)}, keys(key), Builder(Kustomizer()))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _counting(tmp_path: Path) -> Path:
    path = tmp_path / "sops"
    path.write_text(f'#!/bin/sh\necho x >> {tmp_path / "runs"}\nexec {program("sops")} "$@"\n')
    path.chmod(0o755)
    return path


def _runs(tmp_path: Path) -> int:
    return len((tmp_path / "runs").read_text().split())


def _directories(with_keys: Keys | ValuesMissing | None, program: Sops | None = None) -> tuple[Directories, KeysOf]:
    async def keys_of(_: Desired) -> Keys | None:
        if isinstance(with_keys, ValuesMissing):
            raise with_keys
        return with_keys

    return Directories(ManifestReader(), Builder(Kustomizer(), sops=program or sops())), keys_of


async def test_in_a_syncs_own_directory_no_file_keeps_others_from_anything(key: AgeKey) -> None:
    def closed(name: str, by: AgeKey) -> bytes:
        return encrypted(SECRET.replace("login", name), by, "yaml", *SECRET_ONLY)

    both = closed("one", key) + b"---" + SECRET.replace("login", "beside").encode()
    files: dict[str, str | bytes] = {
        "a/one.yaml": both,
        "a/two.yaml": closed("two", age_key()),
        "a/plain.yaml": SECRET.replace("login", "plain"),
        "a/b/kustomization.yaml": "namePrefix: x-\nresources: [three.yaml]\n",
        "a/b/three.yaml": closed("three", key),
        "a/c/kustomization.yaml": "resources: [four.yaml]\n",
        "a/c/four.yaml": closed("four", age_key()),
    }

    async def read(with_keys: Keys | ValuesMissing | None, program: Sops | None = None) -> Desired:
        directories, keys_of = _directories(with_keys, program)
        return await directories.read(COMMIT, tree(files), "a", keys_of)

    desired = await read(keys(key))
    assert {item.key.name: item.sops for item in desired.objects.values()} == {
        **dict.fromkeys(("one", "x-three"), "opened"),
        **dict.fromkeys(("beside", "plain"), ""),
    }
    assert {error.origin.path for error in desired.errors} == {"a/two.yaml", "a/c/four.yaml"}
    assert all("none of the keys" in error.message for error in desired.errors)
    assert {"a/c/kustomization.yaml", "a/c/four.yaml"} <= desired.bad_paths

    encrypted_files = {"a/one.yaml", "a/two.yaml", "a/b/three.yaml", "a/c/four.yaml"}
    for nothing, why in ((None, "nothing decrypts it here"), (ValuesMissing("no Secret"), "no Secret")):
        desired = await read(nothing)
        assert {item.key.name for item in desired.objects.values()} == {"beside", "plain"}
        assert {error.origin.path for error in desired.errors if why in error.message} == encrypted_files

    desired = await read(keys(key), Sops(Path("/nonexistent/sops")))
    assert {item.key.name for item in desired.objects.values()} == {"beside", "plain"}
    assert all("sops cannot be run" in error.message for error in desired.errors)


async def test_who_has_the_keys_may_be_built_together_with_what_they_open(key: AgeKey) -> None:
    """As in the directory ``flux-system`` of a bootstrapped repository, and in one with a kustomization.yaml at its
    top."""
    root = (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        "metadata: {name: flux-system, namespace: flux-system}\n"
        "spec: {interval: 1m, path: ./a, prune: true, sourceRef: {kind: GitRepository, name: flux-system}, "
        "decryption: {provider: sops}}\n"
    )
    files: dict[str, str | bytes] = {
        "a/kustomization.yaml": "resources: [sync.yaml, login.yaml]\n",
        "a/sync.yaml": root,
        "a/login.yaml": encrypted(SECRET, key, "yaml", *SECRET_ONLY),
    }
    directories, _ = _directories(None)

    def asks(desired: Desired) -> bool:
        return any(item.kind == "Kustomization" for item in desired.objects)

    async def keys_of(desired: Desired) -> Keys | None:
        return keys(key) if asks(desired) else None

    async def is_decrypted(desired: Desired) -> bool:
        return asks(desired)

    desired = await directories.read(COMMIT, tree(files), "a", keys_of)
    assert {item.key.name: item.sops for item in desired.objects.values()} == {"flux-system": "", "login": "opened"}
    sealed = await directories.read_sealed(COMMIT, tree(files), "a", is_decrypted)
    assert {item.key.name: item.sops for item in sealed.objects.values()} == {"flux-system": "", "login": "sealed"}
    assert not desired.errors + sealed.errors
