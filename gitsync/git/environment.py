"""The environment git runs in: nothing of the user's, nobody to ask, and credentials where no process list looks."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from gitsync.errors import GitRefused
from gitsync.git.source import GitSource

#: Constant settings; shipped with the package.
CONFIG_FILE = Path(__file__).with_name("gitconfig")

#: The largest single piece of memory git may ask for: a small pack can hold objects that unfold to any size. Files
#: above 16 MiB are streamed (see gitconfig); commits, tags and trees are not.
MEMORY_LIMIT = "64m"

# Constant text, run by git through sh: values come from the environment, so no argument list ever holds one.
_CREDENTIAL_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$_GITSYNC_USERNAME" "$_GITSYNC_SECRET"; }; f'
)


def local_environment(git_dir: Path | None = None) -> dict[str, str]:
    """For commands that only touch the mirror at ``git_dir``; None for one that needs no repository."""
    return {
        "GIT_DIR": str(git_dir) if git_dir else os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(CONFIG_FILE),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOC_LIMIT": MEMORY_LIMIT,
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_ASKPASS": "",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": os.devnull,
        "XDG_CONFIG_HOME": os.devnull,
    }


def remote_environment(source: GitSource, git_dir: Path | None, *, bearer: bool) -> dict[str, str]:
    """For a conversation with the remote of ``source``. ``bearer``: send the token as a bearer token.

    Raises: GitRefused when a file that the credentials name is not there.
    """
    environment = local_environment(git_dir)
    transport = source.endpoint.transport
    # From http a redirect may lead to https, never the other way.
    environment["GIT_ALLOW_PROTOCOL"] = "http:https" if transport == "http" else transport
    if transport == "ssh":
        environment["GIT_SSH_COMMAND"] = ssh_command(source)
        environment["GIT_SSH_VARIANT"] = "ssh"
        if source.access.askpass_file:
            environment["SSH_ASKPASS"] = str(source.access.askpass_file)
            environment["SSH_ASKPASS_REQUIRE"] = "force"
            environment["_GITSYNC_PASSPHRASE"] = source.access.passphrase
        del environment["HOME"], environment["XDG_CONFIG_HOME"]
    elif transport in ("http", "https"):
        environment |= _http_environment(source, bearer)
    return environment


def _http_environment(source: GitSource, bearer: bool) -> dict[str, str]:
    access = source.access
    environment = {
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        # Ends the helper of a gitsync that was killed: the deadline proper is kept by command.py.
        "GIT_HTTP_LOW_SPEED_TIME": str(max(1, round(source.timeout))),
    }
    if access.ca_file:
        environment["GIT_SSL_CAINFO"] = _file("CA file", access.ca_file)
    settings: list[tuple[str, str]] = []
    site = source.endpoint.site
    if access.proxy:
        settings.append(("http.proxy", access.proxy))
    if access.cert_file and access.key_file:
        # git shows a certificate to wherever it was redirected: hence no redirects.
        settings += [
            (f"http.{site}.sslCert", _file("client certificate", access.cert_file)),
            (f"http.{site}.sslKey", _file("client key", access.key_file)),
            ("http.followRedirects", "false"),
        ]
    if bearer:
        # The same with an extra header.
        settings += [
            (f"http.{site}.extraHeader", f"Authorization: Bearer {access.token}"),
            ("http.followRedirects", "false"),
        ]
    elif secret := access.token or access.password:
        # Bound to the site: a redirect to another host finds no helper.
        settings.append((f"credential.{site}.helper", _CREDENTIAL_HELPER))
        environment["_GITSYNC_USERNAME"] = access.username or "git"
        environment["_GITSYNC_SECRET"] = secret
    environment["GIT_CONFIG_COUNT"] = str(len(settings))
    for index, (key, value) in enumerate(settings):
        environment[f"GIT_CONFIG_KEY_{index}"] = key
        environment[f"GIT_CONFIG_VALUE_{index}"] = value
    return environment


def ssh_command(source: GitSource) -> str:
    """The ssh command line, quoted for the shell that git runs it with.

    Raises: GitRefused when the key or the known_hosts file is not there.
    """
    access = source.access
    seconds = max(1, round(source.timeout))
    options = {
        # With a passphrase ssh may ask, which asks the file that has the answer; everything else it could ask is off.
        "BatchMode": "no" if access.askpass_file else "yes",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ConnectTimeout": str(seconds),
        "ServerAliveInterval": str(min(15, seconds)),
        "ServerAliveCountMax": "3",
    }
    command = ["ssh"]
    if access.ssh_key_file:
        # The configured key and nothing else: no agent, no configuration, no other key of this user.
        command += ["-F", "none"]
        options |= {
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": _ssh_file("ssh key", access.ssh_key_file),
        }
    if access.known_hosts_file:
        options["UserKnownHostsFile"] = _ssh_file("known_hosts file", access.known_hosts_file)
        options["GlobalKnownHostsFile"] = os.devnull
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    return shlex.join(command)


def _file(what: str, path: Path) -> str:
    if not path.is_file():
        raise GitRefused(f"the {what} {path} is not there", hint="check the path and, in a cluster, the mounted Secret")
    if not os.access(path, os.R_OK):
        raise GitRefused(f"the {what} {path} cannot be read", hint="check its owner and mode")
    return str(path.absolute())


def _ssh_file(what: str, path: Path) -> str:
    """A file name as ssh_config(5) reads it: quoted, with % doubled, since ssh expands %h, ~ and ${VARIABLE} in it."""
    name = _file(what, path)
    if any(sign in name for sign in ('"', "\\", "${", "\n")):
        raise GitRefused(f"the {what} {path} has a name that ssh cannot be given", hint='use no ", \\ or ${ in it')
    return f'"{name.replace("%", "%%")}"'
