"""CustomResourceDefinitions of kinds that nothing else defines."""

from __future__ import annotations


def definition(group: str) -> str:
    return f"""\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: dolls.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: Doll, plural: dolls}}
  versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object}}}}}}]
"""
