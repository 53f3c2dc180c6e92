"""Objects that never become ready."""

from __future__ import annotations


def never_ready(namespace: str) -> str:
    """A Deployment of an image that nobody can pull."""
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: never, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: never}}}}
  template:
    metadata: {{labels: {{app: never}}}}
    spec: {{containers: [{{name: a, image: "app:nonexistent"}}]}}
"""
