"""Commands about releases and sources in the cluster: showing them, and having the agent do something with them."""
