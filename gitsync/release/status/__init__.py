"""A HelmRelease's status: ``observed`` reads it, ``builder`` builds the next one, ``history`` has its revisions,
``events`` says which change is worth an Event, ``reasons`` the one word for an error. Pure."""
