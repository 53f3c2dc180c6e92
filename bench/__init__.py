"""The benchmarks: the agent against the control plane's own speed. `python -m bench`; see docs/benchmarks.md."""
