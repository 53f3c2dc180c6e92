"""sops as a program that may hang, crash or be led astray, with keys that are other people's."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from gitsync.build import Builder, BuildSpec
from gitsync.errors import KustomizeUnavailable, SopsError, SopsUnavailable
from gitsync.kustomize import Kustomizer, find_kubectl
from gitsync.runtime import places, privatefiles
from gitsync.runtime.places import Places
from gitsync.runtime.privatefiles import private_directory
from gitsync.runtime.program import Limits
from gitsync.sops import BadKey, Keys, Sops
from gitsync.sops.program import CONCURRENT
from tests.build.trees import COMMIT, tree
from tests.sopsfiles import age_key, encrypted, keys, sops
from tests.until import until

TEXT = encrypted(b"a: 1\n", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p")


def stub(tmp_path: Path, script: str) -> Path:
    """A program in place of sops."""
    path = tmp_path / "sops"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def is_there(path: str) -> bool:
    return Path(path).exists()


def left_in(place: Path) -> list[str]:
    return [item.name for item in place.iterdir()]


async def test_it_gets_the_keys_of_this_text_and_nothing_of_the_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "SOPS_AGE_KEY_FILE", "GOOGLE_CREDENTIALS", "VAULT_TOKEN", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "the-agents-own")
    seen = tmp_path / "seen"
    key = age_key()
    with_keys = Keys.of("s", {"a.agekey": key.text.encode(), "sops.vault-token": b"for-vault\n"})
    await Sops(stub(tmp_path, f"(/usr/bin/env; pwd; echo $@) > {seen}")).open(TEXT, "yaml", "yaml", with_keys)
    said = seen.read_text()
    assert "the-agents-own" not in said
    assert "for-vault" not in said
    lines = set(said.splitlines())
    assert {f"SOPS_AGE_KEY={key.identity}", "HOME=/nonexistent", "GNUPGHOME=/nonexistent", "/"} <= lines
    assert {"AWS_EC2_METADATA_DISABLED=true", "SOPS_HC_VAULT_ALLOWLIST=none"} <= lines
    assert {"HTTPS_PROXY=http://0.0.0.0:1", "decrypt --input-type yaml --output-type yaml"} <= lines


async def test_keys_of_clouds_reach_texts_that_name_such_a_key(tmp_path: Path) -> None:
    text = (
        b"a: ENC[AES256_GCM,data:x,type:str]\nsops:\n  mac: ENC[x]\n"
        b"  kms: [{arn: 'arn:aws:kms:x'}]\n  hc_vault: [{vault_address: 'https://vault'}]\n"
    )
    seen = tmp_path / "seen"
    aws = b"aws_access_key_id: AKIA\naws_secret_access_key: hush\n"
    with_keys = Keys.of("Secret 'a/b'", {"sops.aws-kms": aws, "sops.vault-token": b"token"})
    await Sops(stub(tmp_path, f"/usr/bin/env > {seen}")).open(text, "yaml", "yaml", with_keys)
    lines = set(seen.read_text().splitlines())
    assert {"AWS_ACCESS_KEY_ID=AKIA", "AWS_SECRET_ACCESS_KEY=hush", "VAULT_TOKEN=token"} <= lines
    refusing = Sops(stub(tmp_path, "echo 'AccessDenied' >&2; exit 128"))
    with pytest.raises(SopsUnavailable, match=r"kms arn:aws:kms:x, hc_vault https://vault did not give .*AccessDenied"):
        await refusing.open(text, "yaml", "yaml", with_keys)
    with pytest.raises(SopsError, match="none of the keys in Secret 'a/b' opens it"):
        await refusing.open(text, "yaml", "yaml", Keys.of("Secret 'a/b'", {"x.agekey": age_key().text.encode()}))


@pytest.mark.parametrize(
    ("entry", "data", "why"),
    [
        ("a.agekey", b"# nothing", "no private key of age"),
        ("a.asc", b"nothing", "no private key of PGP"),
        ("sops.aws-kms", b"aws_access_key_id: x\n", "it has no aws_secret_access_key"),
        ("sops.azure-kv", b"tenantId: x\nclientId: y\n", "neither clientSecret nor clientCertificate"),
        ("sops.gcp-kms", b'{"type": "external_account", "private": "hunter2"}', "service_account or authorized_user"),
        ("sops.gcp-kms", b"hunter2", "no JSON"),
    ],
)
def test_an_entry_that_is_no_key_is_named_and_not_quoted(entry: str, data: bytes, why: str) -> None:
    with pytest.raises(BadKey, match=why) as error:
        Keys.of("s", {entry: data})
    assert str(error.value).startswith(f"{entry}: ")
    assert "hunter2" not in str(error.value)


async def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    limits = Limits(timeout=0.5, processor_time=10, memory=256 << 20, output=1 << 20, complaint=1000)
    hanging = Sops(stub(tmp_path, "exec /bin/sleep 1000"), limits)
    with pytest.raises(SopsUnavailable, match=r"did not end within 0.5 s"):
        await hanging.open(TEXT, "yaml", "yaml", keys(age_key()))


async def test_endless_output_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(SopsError, match="more than 5 MiB come out of sops"):
        await Sops(stub(tmp_path, "exec /usr/bin/yes")).open(TEXT, "yaml", "yaml", keys(age_key()))


async def test_what_it_says_is_not_told(tmp_path: Path) -> None:
    for status in (1, 25, 51, 128):
        talking = Sops(stub(tmp_path, f"echo hunter2; echo hunter2 >&2; exit {status}"))
        with pytest.raises(SopsError) as error:
            await talking.open(TEXT, "yaml", "yaml", keys(age_key()))
        assert "hunter2" not in f"{error.value} {error.value.hint}"


async def test_a_few_run_at_once_and_no_more(tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    waiting = Sops(stub(tmp_path, f"echo x >> {begun}\nuntil [ -e {go} ]; do /bin/sleep 0.05; done"))
    texts = [TEXT + f"# {number}\n".encode() for number in range(5)]
    runs = [asyncio.ensure_future(waiting.open(text, "yaml", "yaml", keys(age_key()))) for text in texts]
    await until(lambda: begun.exists() and len(begun.read_text().split()) == CONCURRENT)
    await asyncio.sleep(0.3)  # time in which another one could begin
    assert len(begun.read_text().split()) == CONCURRENT
    go.touch()
    await asyncio.gather(*runs)


async def test_it_takes_places_of_the_worker_processes_and_gives_way_when_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What all of these processes may take in memory together is known then."""
    monkeypatch.setattr(places, "SLICE", 0.3)
    begun, go = tmp_path / "begun", tmp_path / "go"
    wait = f"case $first in *slow*) until [ -e {go} ]; do /bin/sleep 0.05; done;; esac"
    shared = Places(2)
    program = Sops(stub(tmp_path, f"read first; echo $first >> {begun}\n{wait}"), places=shared)
    key = keys(age_key())

    def asked(first: str, owner: str) -> asyncio.Future[bytes]:
        return asyncio.ensure_future(program.open(f"#{first}\n".encode() + TEXT, "yaml", "yaml", key, owner))

    others = [shared.ticket("another", "", shared.number(), 60.0) for _ in range(2)]
    for other in others:
        await shared.take(other)
    slow = [asked(f"slow-{number}", "a") for number in range(2)]
    await asyncio.sleep(0.3)  # time in which one could begin
    assert not begun.exists()
    for other in others:
        shared.leave(other)
    await until(lambda: begun.exists() and len(begun.read_text().split()) == 2)
    await asked("quick", "b")
    go.touch()
    await asyncio.gather(*slow)
    assert len(begun.read_text().split()) >= 4, "one of the slow ones has been begun anew"


GENERATOR = "secretGenerator: [{name: a, files: [x.yaml]}]\n"


async def test_plain_files_for_kustomize_are_in_memory_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    key, seen = age_key(), tmp_path / "seen"
    looking = tmp_path / "kubectl"
    script = f"(/usr/bin/stat -f -c %T .; /usr/bin/stat -c %a .; pwd; /bin/cat x.yaml) > {seen}"
    looking.write_text(f'#!/bin/sh\n{script}\nexec {find_kubectl()} "$@"\n')
    looking.chmod(0o755)
    files: dict[str, str | bytes] = {"kustomization.yaml": GENERATOR, "x.yaml": encrypted(b"a: hunter2\n", key)}
    builder = Builder(Kustomizer(looking), sops=sops())
    desired = await builder.build(COMMIT, tree(files), BuildSpec(decrypts=True, keys=keys(key)))
    assert not desired.errors
    kind, mode, where, *text = seen.read_text().splitlines()
    assert (kind, mode, text) == ("tmpfs", "700", ["a: hunter2"])
    assert not is_there(where)


async def test_what_kustomize_says_of_a_decrypted_file_is_not_told(tmp_path: Path) -> None:
    key = age_key()
    files: dict[str, str | bytes] = {
        "kustomization.yaml": "secretGenerator: [{name: a, envs: [x.json]}]\n",
        "x.json": encrypted(b'{"a": {"x": "hunter2"}, "b": {"x": "hunter2"}}', key, "json"),
    }
    builder = Builder(Kustomizer(), sops=sops())
    desired = await builder.build(COMMIT, tree(files), BuildSpec(decrypts=True, keys=keys(key)))
    assert "illegally repeats the key" in str(desired.errors[0])
    assert "hunter" not in " ".join(map(str, desired.errors))


async def test_what_a_killed_process_has_left_in_memory_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privatefiles, "memory_directory", lambda: tmp_path)
    monkeypatch.setattr(privatefiles, "_YOUNG", -1.0)
    left = tmp_path / "gitsync-sops-left"
    left.mkdir()
    (left / "key").write_text("hunter2")
    async with private_directory("gitsync-sops-", {"key": "hunter3"}, in_memory=True) as needed:
        assert left_in(tmp_path) == [needed.name]
        async with private_directory("gitsync-sops-", {}, in_memory=True) as other:
            assert set(left_in(tmp_path)) == {needed.name, other.name}
    assert not left_in(tmp_path)


async def test_where_no_directory_is_in_memory_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(privatefiles, "_mounted", lambda: {Path("/"): "ext4"})
    key = age_key()
    files: dict[str, str | bytes] = {"kustomization.yaml": GENERATOR, "x.yaml": encrypted(b"a: hunter2\n", key)}
    spec = BuildSpec(decrypts=True, keys=keys(key))
    with pytest.raises(KustomizeUnavailable, match="must not be on a disk") as error:
        await Builder(Kustomizer(), sops=sops()).build(COMMIT, tree(files), spec)
    assert "medium: Memory" in error.value.hint
    assert not left_in(tmp_path)
