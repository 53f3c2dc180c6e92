"""What cannot be built is an error with the user's file and line, and there is no object then."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping

import pytest

from gitsync.build import Builder, BuildSpec
from gitsync.errors import KustomizeError
from gitsync.kustomize import Kustomizer
from tests.build.trees import COMMIT, built, tree

SECRET = "hunter2"
X = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n  password: {SECRET}\n"
Y = X.replace("name: x", "name: z")
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"

#: The files beside apps/kustomization.yaml, which is the first text; then what is said.
CASES: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    "missing file": (
        "resources:\n- x.yaml\n",
        {},
        "apps/kustomization.yaml:2:3: resources[0]: there is no 'apps/x.yaml'",
    ),
    "missing patch": (
        "resources: [x.yaml]\npatches:\n- path: p.yaml\n",
        {"apps/x.yaml": X},
        "apps/kustomization.yaml:3:3: patches[0].path: there is no 'apps/p.yaml'",
    ),
    "directory without kustomization": (
        "resources:\n- ../base\n",
        {"base/x.yaml": X},
        "apps/kustomization.yaml:2:3: resources[0]: the directory 'base' has no kustomization",
    ),
    "left out": (
        "resources:\n- x.yaml\n",
        {"apps/x.yaml": X, ".sourceignore": "x.yaml\n"},
        "apps/kustomization.yaml:2:3: resources[0]: 'apps/x.yaml' is left out by .sourceignore or by default",
    ),
    "bad YAML": ("resources: [x.yaml]\n", {"apps/x.yaml": X + " - [\n"}, "apps/x.yaml:7:"),
    "no name": (
        "resources: [x.yaml]\n",
        {"apps/x.yaml": X.replace("name: x", "a: x")},
        "apps/x.yaml:3:1: metadata.name",
    ),
    "no kind": (
        "resources: [x.yaml]\n",
        {"apps/x.yaml": "# k\n" + X.replace("kind: Secret\n", "")},
        "apps/x.yaml:2:1: kind",
    ),
    "twice": (
        "resources: [x.yaml, y.yaml]\n",
        {"apps/x.yaml": X, "apps/y.yaml": X},
        "apps/y.yaml:1: may not add resource with an already registered id: Secret.v1.[noGrp]/x.[noNs]",
    ),
    "twice, in two bases": (
        "resources: [../b, ../c]\n",
        {
            **{f"{base}/kustomization.yaml": "resources: [x.yaml]\n" for base in "bc"},
            **{f"{base}/x.yaml": X for base in "bc"},
        },
        "c/kustomization.yaml:1:1: may not add resource with an already registered id: Secret.v1.[noGrp]/x.[noNs]"
        " (it is in b/x.yaml:1 and c/x.yaml:1)",
    ),
    "twice, by a base of two": (
        "resources: [../b, ../c]\n",
        {
            "b/kustomization.yaml": "resources: [x.yaml]\n",
            "b/x.yaml": X,
            "c/kustomization.yaml": "resources: [../b]\n",
        },
        "c/kustomization.yaml:1:1: may not add resource with an already registered id: Secret.v1.[noGrp]/x.[noNs]"
        " (b/x.yaml:1 is read twice)",
    ),
    "twice, in a component": (
        "resources: [x.yaml]\ncomponents: [../c]\n",
        {
            "apps/x.yaml": X,
            "c/kustomization.yaml": f"{COMPONENT}resources: [x.yaml]\n",
            "c/x.yaml": X,
        },
        "c/x.yaml:1: may not add resource with an already registered id: Secret.v1.[noGrp]/x.[noNs]"
        " (it is in apps/x.yaml:1 and c/x.yaml:1)",
    ),
    "twice, by a generator": (
        "resources: [x.yaml]\nsecretGenerator:\n- {name: x, literals: [a=b]}\n",
        {"apps/x.yaml": X},
        "apps/kustomization.yaml:1:1: Secret x exists already: behavior of its generator must be merge or replace",
    ),
    "patch without target": (
        "resources: [x.yaml]\npatches:\n- path: p.yaml\n",
        {"apps/x.yaml": X, "apps/p.yaml": Y},
        "apps/kustomization.yaml:3:3: patches[0]: no resource matches strategic merge patch",
    ),
    "patch that is none": (
        "resources: [x.yaml]\npatches:\n- path: p.yaml\n",
        {"apps/x.yaml": X, "apps/p.yaml": f"{SECRET}: [\n"},
        "apps/p.yaml:2:1: not valid YAML",
    ),
    "circle": (
        "resources:\n- ../base\n",
        {"base/kustomization.yaml": "resources:\n- ../other\n", "other/kustomization.yaml": "resources:\n- ../apps\n"},
        "other/kustomization.yaml:2:3: a circle of kustomizations: apps -> base -> other -> apps",
    ),
    "itself": ("resources: [.]\n", {}, "apps/kustomization.yaml:1:13: resources[0]: '.' is itself"),
    "unknown field of a base": (
        "resources: [../base]\n",
        {"base/kustomization.yaml": "resurces: [x.yaml]\n"},
        "base/kustomization.yaml:1:1: resurces is no field of a kustomization (did you mean resources?)",
    ),
    "unknown field of an entry": (
        "resources: [x.yaml]\nconfigMapGenerator:\n- name: g\n  fles: [a]\n",
        {"apps/x.yaml": X},
        "apps/kustomization.yaml:4:3: configMapGenerator[0].fles is no field that kustomize knows",
    ),
    "wrong type": (
        "namePrefix: a\nresources: x.yaml\n",
        {"apps/x.yaml": X},
        "apps/kustomization.yaml:2:1: resources: invalid Kustomization: json: cannot unmarshal string",
    ),
    "a file as a component": (
        "components: [x.yaml]\n",
        {"apps/x.yaml": X},
        "apps/kustomization.yaml:1:14: components[0]: 'apps/x.yaml' is a file",
    ),
    "a base as a component": (
        "components: [../base]\n",
        {"base/kustomization.yaml": "resources: [x.yaml]\n", "base/x.yaml": X},
        "apps/kustomization.yaml:1:14: components[0]: 'base' is no Component",
    ),
    "Flux's own kind": (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec: {}\n",
        {},
        "apps/kustomization.yaml:1:1: kustomize.toolkit.fluxcd.io/v1 is not an apiVersion of kustomize's files",
    ),
    "two kustomizations": (
        "resources: [x.yaml]\n",
        {"apps/x.yaml": X, "apps/kustomization.yml": "resources: []\n"},
        "apps/kustomization.yaml: there is a kustomization.yml beside it",
    ),
    "charts": ("helmCharts:\n- name: a\n", {}, "apps/kustomization.yaml:1:1: helmCharts: charts are not rendered"),
    "encrypted": (
        "resources: [x.yaml]\n",
        {"apps/x.yaml": X + "sops:\n  mac: ENC[AES256_GCM,data:a]\n"},
        "apps/x.yaml:1:1: encrypted with SOPS",
    ),
    "encrypted, for a generator": (
        "secretGenerator:\n- name: a\n  envs: [x.env]\n",
        {"apps/x.env": "A=ENC[AES256_GCM,data:x]\nsops_mac=x\n"},
        "apps/x.env:1: encrypted with SOPS",
    ),
    "a pointer of Git LFS": (
        "resources: [x.yaml]\n",
        {"apps/x.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"},
        "apps/x.yaml:1: a pointer of Git LFS",
    ),
    "the rules of .sourceignore": (
        "resources: [x.yaml]\n",
        {"apps/x.yaml": X, "apps/.sourceignore": "[[a\n"},
        "apps/.sourceignore:1: not a pattern",
    ),
    "a plugin": (
        "transformers:\n- |\n  apiVersion: x/v1\n  kind: Shell\n  metadata:\n    name: x\n    annotations:\n"
        "      config.kubernetes.io/function: 'exec: {path: /bin/true}'\n",
        {},
        "apps/kustomization.yaml:1:1: external plugins disabled",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_it_is_said_where_and_nothing_of_what_is_secret(case: str) -> None:
    kustomization, files, said = CASES[case]
    desired = await built({"apps/kustomization.yaml": kustomization, **files}, path="apps")
    assert desired.objects == {}
    shown = [str(error) for error in desired.errors]
    assert shown[0].startswith(said)
    assert SECRET not in repr(shown)
    assert "gitsync-kustomize-" not in repr(shown)
    assert desired.bad_paths


@pytest.mark.parametrize(
    "text",
    [
        "https://raw.githubusercontent.com/a/b/main/x.yaml",
        "HTTP://example.invalid/x.yaml",
        "https://github.com/a/b?ref=v1",
        "github.com/a/b//deploy?ref=v1",
        "git@github.com:a/b.git",
        "ssh://git@example.invalid/a/b",
        "git::https://example.invalid/a",
        "gh:a/b",
        "example.invalid/a/b.git//c",
        "file:///etc",
    ],
)
async def test_what_is_remote_is_refused_by_name_before_anything_runs(text: str) -> None:
    for field in ("resources", "bases", "components", "crds", "configurations", "transformers", "Resources"):
        kustomizer = Kustomizer(kubectl=None)
        kustomizer.build = None  # type: ignore[assignment, method-assign]  # it is not even asked
        files = {"kustomization.yaml": f"{field}:\n- {text!r}\n"}
        desired = await Builder(kustomizer).build(COMMIT, tree(files), BuildSpec())
        (error,) = desired.errors
        assert str(error.origin) == "kustomization.yaml:2:3"
        assert "is remote" in error.message
        assert text in error.message


@pytest.mark.parametrize(
    "content",
    [
        "patches: [{path: 'https://x.invalid/p'}]",
        "openapi: {path: 'https://x.invalid/p'}",
        "replacements: [{path: 'https://x.invalid/p'}]",
        "patchesStrategicMerge: ['https://x.invalid/p']",
        "configMapGenerator: [{name: a, files: ['k=https://x.invalid/p']}]",
        "configMapGenerator: [{name: a, Files: ['k=https://x.invalid/p']}]",
        "secretGenerator: [{name: a, envs: ['https://x.invalid/p']}]",
        "secretGenerator: [{name: a, env: 'https://x.invalid/p'}]",
        "generators: ['{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: a}, envs: [\"https://x.invalid/p\"]}']",
        "transformers: ['{apiVersion: builtin, kind: PatchTransformer, metadata: {name: a}, path: \"https://x.invalid/p\"}']",
    ],
)
async def test_so_is_what_is_remote_of_patches_generators_and_plugins(content: str) -> None:
    desired = await built({"kustomization.yaml": f"{content}\n"})
    assert [re.search("'https://x.invalid/p' is remote", error.message) is not None for error in desired.errors] == [
        True
    ]


async def test_nothing_from_outside_of_the_tree_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.yaml"
    outside.write_text(X)
    up = "../" * 20 + str(outside)[1:]
    for path in (str(outside), up):
        for content in (
            f"resources: [{path}]",
            f"crds: [{path}]",
            f"patches: [{{path: {path}}}]",
            f"configMapGenerator: [{{name: a, files: [{path}]}}]",
            f"secretGenerator: [{{name: a, envs: [{path}]}}]",
            f"components: [{path}]",
        ):
            desired = await built({"a/kustomization.yaml": f"{content}\n"}, path="a")
            (error,) = desired.errors
            assert "leads out of the repository" in error.message
        plugin = f"{{apiVersion: builtin, kind: SecretGenerator, metadata: {{name: a}}, files: [{path}]}}"
        desired = await built({"a/kustomization.yaml": f"generators: ['{plugin}']\n"}, path="a")
        assert desired.objects == {}
        assert desired.errors
        assert SECRET not in repr(desired)


async def test_a_link_out_of_the_tree_is_an_error_where_it_is_named() -> None:
    files = tree(
        {"a/kustomization.yaml": "resources: [x.yaml]\n"}, {"a/x.yaml": "a link that leads out of the repository"}
    )
    desired = await Builder(Kustomizer()).build(COMMIT, files, BuildSpec(path="a"))
    (error,) = desired.errors
    assert str(error) == (
        "a/kustomization.yaml:1:13: resources[0]: 'x.yaml' cannot be used: a link that leads out of the repository"
    )


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none", "none: is no directory"),
        ("../x", "../x: the path leads out"),
        ("f.yaml", "f.yaml: is a file"),
        (".github", ".github: is left out"),
    ],
)
async def test_a_path_that_is_no_directory(path: str, said: str) -> None:
    desired = await built({"f.yaml": X, ".github/x.yaml": X}, path=path)
    (error,) = desired.errors
    assert str(error).startswith(said)


async def test_flux_passes_over_unknown_fields_of_the_topmost_kustomization_and_so_it_is_a_warning() -> None:
    desired = await built({"kustomization.yaml": "resources: [x.yaml]\nresurces: []\n", "x.yaml": X})
    assert len(desired.objects) == 1
    (warning,) = desired.warnings
    assert (str(warning.origin), warning.hint) == ("kustomization.yaml:2:1", "did you mean resources?")


NONE = "apiVersion: v1\nkind: Secret\nmetadata: {name: none}\n"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (BuildSpec(components=("../c",)), "kustomization.yaml: spec.components[0]: '../c' leads out of the repository"),
        (BuildSpec(components=("c",)), "kustomization.yaml: spec.components[0]: there is no 'c'"),
        (
            BuildSpec(patches=({"patch": X}, {"patch": NONE})),
            "kustomization.yaml: spec.patches[1]: no resource matches strategic merge patch",
        ),
        (
            BuildSpec(patches=({"patch": f"a: {SECRET}\n: ["},)),
            "kustomization.yaml: spec.patches[0]: line 2 of the patch: not valid YAML",
        ),
    ],
)
async def test_what_the_spec_adds_is_called_by_its_place_there(spec: BuildSpec, said: str) -> None:
    desired = await built({"kustomization.yaml": "resources: [x.yaml]\npatches: []\n", "x.yaml": X}, spec)
    (error,) = desired.errors
    assert str(error).startswith(said)
    assert SECRET not in str(error)


async def test_too_much_is_refused_before_anything_is_read() -> None:
    files: dict[str, str | bytes] = {f"{number}.yaml": b"# " + b"x" * (9 << 20) for number in range(2)}
    desired = await built(files | {"kustomization.yaml": "resources: [0.yaml, 1.yaml]\n"})
    (error,) = desired.errors
    assert str(error).startswith(".: one build may read 5,000 files of 16 MiB together")


async def test_a_diamond_of_a_hundred_bases_is_followed_once_each() -> None:
    files: dict[str, str | bytes] = {
        f"{depth}{side}/kustomization.yaml": f"resources: [../{depth + 1}a, ../{depth + 1}b]\n"
        for depth in range(50)
        for side in "ab"
    }
    files |= {f"50{side}/kustomization.yaml": "resources: [none.yaml]\n" for side in "ab"}
    desired = await built(files, path="0a")
    assert [str(error.origin) for error in desired.errors] == [
        "50a/kustomization.yaml:1:13",
        "50b/kustomization.yaml:1:13",
    ]


async def test_nobody_is_asked_over_the_network_however_it_is_written() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(f"HTTP/1.0 200 OK\r\n\r\n{X}".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/x.yaml"
        plugin = "apiVersion: builtin\nkind: {}\nmetadata: {{name: a}}\n{}\n"
        cases: list[dict[str, str | bytes]] = [
            {"kustomization.yaml": f"resources: ['{url}']\n", url.replace("//", "/"): X},  # a file of that name
            {"kustomization.yaml": f"RESOURCES: ['{url.replace('http', 'HTTP')}']\n"},
            {"kustomization.yaml": f"re\u017fources: ['{url}']\n"},
            {"kustomization.yaml": f"patchesStrategicMerge: ['{url}?{{a: b}}']\n"},
            {"kustomization.yaml": f"transformers: ['{url}?{{a: b}}']\n"},
            {"kustomization.yaml": f'patches: [{{"p\\x61th": "{url}"}}]\n'},
            {"kustomization.yaml": f"configMapGenerator: [{{name: a, FILES: ['k={url}']}}]\n"},
            {
                "kustomization.yaml": "transformers: [plugins]\n",
                "plugins/kustomization.yaml": "resources: [p.yaml]\n",
                "plugins/p.yaml": plugin.format("PatchTransformer", f"path: {url}"),
            },
            {
                "kustomization.yaml": "generators: [p.yaml]\n",
                "p.yaml": plugin.format("SecretGenerator", f"Files: ['k={url}']"),
            },
            {
                "kustomization.yaml": "generators: [p.yaml]\n",
                "p.yaml": plugin.format("ConfigMapGenerator", f"envs: ['{url}']\nenvs: []"),
            },
            {
                "kustomization.yaml": "transformers: [p.yaml]\n",
                "p.yaml": plugin.format("ReplacementTransformer", f'replacements: [{{"\\x70ath": "{url}"}}]'),
            },
        ]
        for files in cases:
            desired = await built(files)
            assert desired.objects == {}, files
        assert asked == []
        control = {"resources": [url]}  # the server is there: kustomize itself would ask it
        with contextlib.suppress(KustomizeError):
            await Kustomizer().build({"kustomization.yaml": json.dumps(control)})
        assert asked


async def test_plugins_of_a_directory_that_could_be_others_than_they_look_are_refused() -> None:
    files: dict[str, str | bytes] = {
        "kustomization.yaml": "resources: [x.yaml]\ntransformers: [plugins]\n",
        "x.yaml": X,
        "plugins/kustomization.yaml": "resources: [../shared]\n",
        "shared/kustomization.yaml": "resources: [p.yaml]\npatches: [{patch: '[]', target: {name: a}}]\n",
        "shared/p.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: a}\npatch: '[]'\n",
    }
    desired = await built(files)
    assert desired.objects == {}
    assert [str(error) for error in desired.errors] == [
        "kustomization.yaml:2:16: transformers[0]: 'shared/kustomization.yaml' makes plugins, and has patches "
        "(name the files themselves: what a kustomization makes of them cannot be looked through)"
    ]


async def test_a_base_with_a_fault_is_named_once_however_often_it_is_used() -> None:
    files: dict[str, str | bytes] = {
        "kustomization.yaml": "resources: [bad, good]\n",
        "good/kustomization.yaml": "resources: [../bad]\n",
        "bad/kustomization.yaml": "resources: [\n",
    }
    desired = await built(files)
    assert [str(error.origin) for error in desired.errors] == ["bad/kustomization.yaml:2:1"]
