"""A HelmRelease's status: ``observed`` reads it, ``builder`` builds the next one, ``history`` has its revisions,
``events`` decides which changes are worth an Event, ``reasons`` has the condition's reason for an error. Pure."""
