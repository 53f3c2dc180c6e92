"""Commits of a fleet, and what ``gitsync plan`` says of each before it is carried out."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.controlplane.cluster import Cli
from tests.e2e.harness import AgentProcess, Fleet


@dataclass(frozen=True)
class Planned:
    """The result of plan for a commit; ``objects`` by action and object, with who gets it or why it stays."""

    code: int
    objects: dict[tuple[str, str], str]
    whys: dict[str, str]
    problems: list[str]

    def doing(self, action: str) -> dict[str, str]:
        return {name: to for (verb, name), to in self.objects.items() if verb == action}


class Commits:
    """A repository whose commits are planned, then carried out, each by one run of the agent."""

    def __init__(self, agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str) -> None:
        self.agent, self._fleet, self._kubectl, self.namespace = agent, fleet, kubectl, namespace

    def commit(self, files: dict[str, str | None]) -> str:
        return self._fleet.commit(files, "change")

    def run(self) -> int:
        return self.agent.start("--once").wait()

    def said(self, *more: str) -> tuple[int, str, str]:
        """What plan prints."""
        flags = [flag for flag in self.agent.arguments if not flag.startswith("--interval")]
        state = f"--state-dir={self.agent.directory / 'plan'}"
        return self.agent.ended("plan", *flags, state, *more)

    def plan(self) -> Planned:
        code, out, err = self.said("-o", "json")
        assert out, err
        data = json.loads(out)
        objects, whys = {}, {}
        for item in data["objects"]:
            name = "/".join(part for part in (item["kind"], item["namespace"], item["name"]) if part)
            assert (item["action"] == "hand over") == bool(item["to"])
            objects[item["action"], name] = item["to"]
            whys[f"{item['action']} {name}"] = item["why"]
        return Planned(code, objects, whys, [problem["message"] for problem in data["problems"]])

    def uids(self) -> dict[str, str]:
        """The test's ConfigMaps, HelmReleases and Kustomizations, by name."""
        kinds = "configmaps,helmreleases.helm.toolkit.fluxcd.io,kustomizations.kustomize.toolkit.fluxcd.io"
        items = json.loads(self._kubectl("get", kinds, "-n", self.namespace, "-o", "json"))["items"]
        return {
            f"{item['kind']}/{self.namespace}/{item['metadata']['name']}": item["metadata"]["uid"]
            for item in items
            if item["metadata"]["name"] != "kube-root-ca.crt"
        }

    def as_planned(self, *codes: int) -> Planned:
        """Plan, carry out, and compare the two."""
        planned, before, after = self.plan(), self.uids(), self.agent.count
        assert self.run() in (codes or (0,))
        now = self.uids()
        assert {name for name in before if name not in now} == set(planned.doing("delete"))
        assert {name for name in now if name not in before} == set(planned.doing("create"))
        assert {name: uid for name, uid in now.items() if name in before}.items() <= before.items()
        for line in self.agent.lines[after:]:
            about = line.fields.get("object", "")
            if line.msg == "object handed over":
                assert planned.doing("hand over").get(about) == line.fields["to"]
            if line.msg == "object kept":
                assert planned.whys.get(f"keep {about}") == line.fields["why"]
        return planned
