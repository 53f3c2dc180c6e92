"""What commands share: flags from settings, kinds, output, objects of the cluster, waiting for the agent."""
