"""What each type of Provider is sent, a module for each service: pure functions from events to requests.

Chats: ``slack``, ``discord``, ``msteams``, ``googlechat``, ``telegram`` and ``matrix``, which get a ``message``.
Others: ``generic`` (and generic-hmac), ``alertmanager``, ``grafana``, ``pagerduty`` and ``opsgenie``. Servers of Git:
``github``, ``gitlab``, ``gitea``, ``bitbucket`` and ``azuredevops``, by what ``commitstatus`` says. ``registry`` has
them by type.
"""
