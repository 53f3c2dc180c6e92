"""Commands about a repository and its commits: checking one, showing what it would change, and what it did."""
