"""What an authorizer says when it refuses, with what would help. Pure."""

from __future__ import annotations

import re

#: The API server's forbiddenMessage (apiserver, endpoints/handlers/responsewriters/errors.go). Quotas and admission
#: plugins answer 403 with reason Forbidden, too, and nothing but the words tells them apart.
_REFUSAL = re.compile(
    r'(?:[a-z0-9.\-/]+(?: "[^"]*")? is forbidden: )?'
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)" in API group "[^"]*"'
    r'(?: in the namespace "(?P<namespace>[^"]*)"| at the cluster scope)'
)
_SERVICE_ACCOUNT = "system:serviceaccount:"


def refused(text: str) -> str:
    """The refusal for want of a right in an API server's message, and what would help; "" when it is none.

    ``deployments.apps "redis" is forbidden: User "system:serviceaccount:shop:deployer" cannot patch resource
    "deployments" in API group "apps" in the namespace "shop"; a RoleBinding in namespace shop has to let ServiceAccount
    shop/deployer patch deployments``
    """
    found = _REFUSAL.search(text)
    if found is None:
        return ""
    return f"{found[0]}; {_cure(found['user'], found['verb'], found['resource'], found['namespace'])}"


def _cure(user: str, verb: str, resource: str, namespace: str | None) -> str:
    if verb.startswith("impersonate"):  # since 1.36 also impersonate-on:serviceaccount:get, say
        return f"a RoleBinding in the account's namespace has to let {_subject(user)} impersonate serviceaccounts"
    binding = f"a RoleBinding in namespace {namespace}" if namespace else "a ClusterRoleBinding"
    return f"{binding} has to let {_subject(user)} {verb} {resource}"


def _subject(user: str) -> str:
    if user.startswith(_SERVICE_ACCOUNT):
        return f"ServiceAccount {user.removeprefix(_SERVICE_ACCOUNT).replace(':', '/')}"
    return f"user {user}"
