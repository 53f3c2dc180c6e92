"""Commands about the agent: running it here, putting it into a cluster, looking after it there, seeing it work."""
