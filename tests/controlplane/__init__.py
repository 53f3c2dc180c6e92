"""A real Kubernetes control plane for tests and benchmarks, as plain processes without containers.

kube-apiserver, kube-controller-manager, kube-scheduler and etcd are built from their published Go modules (`binaries`),
started with the options that a single machine needs (`components`, `plane`), and given one node that kwok plays
(`world`, and the stages in `kwok/`). Tests get at it through `fixtures`; people through `python -m tests.controlplane`.
"""
