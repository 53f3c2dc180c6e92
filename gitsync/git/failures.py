"""What git says on stderr, turned into our errors: the one place that reads its texts (git offers nothing else).

Git runs with LC_ALL=C. What a remote prints (lines that begin ``remote:``) is never used to decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gitsync.errors import GitAuthRefused, GitRefMissing, GitRefused, GitsyncError, GitUnavailable, StateUnwritable
from gitsync.git.source import GitSource
from gitsync.text import shorten

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_PREFIX = re.compile(r"^(fatal|error|warning): ")
_USERINFO = re.compile(r"(?<=://)[^/\s'\"]*@")
# Names in git's messages are ours or a stranger's, and may hold any word: they are taken out before a rule looks.
_NAMES = re.compile(r"'[^']*'|\S*/\S*")
#: Where curl has looked for authorities: a file of ours that is another one each time.
_LOOKED = re.compile(r"\.? CAfile: .*")
_LONGEST = 300


class Damaged(Exception):
    """A local git command failed, or a fetch did and nothing says that it is the remote's fault."""


class BrokenOff(GitUnavailable):
    """A connection that was made and came to nothing: git does not say what is wrong with the server's certificate, or
    ours."""


class NoGitAnswer(GitUnavailable):
    """An answer that is none of a git server's: git does not say what it is instead."""


class Unadvertised(Exception):
    """The server hands out only the tips of its branches and tags, and the commit is none of them."""


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    kind: type[GitsyncError]
    text: str
    hint: str = ""


def _rule(pattern: str, kind: type[GitsyncError], text: str, hint: str = "") -> _Rule:
    return _Rule(re.compile(pattern, re.IGNORECASE), kind, text, hint)


_UNADVERTISED = re.compile(r"unadvertised object|want [0-9a-f]+ not valid", re.IGNORECASE)

_UNWRITABLE = re.compile(r"no space left on device|disk quota exceeded|read-only file system", re.IGNORECASE)
MAKE_ROOM = "make room there, mount a writable volume, or choose another --state-dir"

_CHECK_URL = "check the URL; many servers say so, too, to who may not read it"
_CHECK_PATH = "correct the path: it is that of a repository's own directory, or of its .git"

# In order: the first that matches one of the lines decides. {url} and {line} are filled in.
_RULES = (
    _rule(_UNWRITABLE.pattern, StateUnwritable, "the git mirror cannot be written: {line}", MAKE_ROOM),
    _rule(r"host key verification failed|no .* host key is known", GitUnavailable,
          "the ssh host key of {url} is not in known_hosts, or has changed", "compare it and add it to known_hosts"),
    _rule(r"unprotected private key file|bad permissions|error in libcrypto|invalid format.*key|passphrase",
          GitAuthRefused, "ssh cannot use its key for {url}: {line}", "it must be mode 0600 and without a passphrase"),
    _rule(r"could not read (username|password)|terminal prompts disabled|prompts have been disabled", GitAuthRefused,
          "{url} asks for credentials and none are configured for it", "set a token, or a user name and password"),
    _rule(r"authentication failed|permission denied \(|requested url returned error: 40[13]|access denied|"
          r"too many authentication failures", GitAuthRefused, "{url} refuses our credentials: {line}",
          "check that they have not expired and may read this repository"),
    _rule(r"repository '' not found|does not appear to be a git repository|repository not found|"
          r"requested url returned error: 404", GitUnavailable,
          "there is no repository at {url}", _CHECK_URL),
    _rule(r"transport '' not allowed", GitRefused, "{url} leads to a transport that is not allowed: {line}"),
    _rule(r"couldn't find remote ref|not our ref|no such ref|no such remote ref", GitRefMissing,
          "{url} does not have it (any more): {line}", "it may have been rewritten by a force-push"),
    _rule(r"could not resolve|failed to connect|connection (refused|timed out)|network is unreachable|"
          r"no route to host", GitUnavailable, "cannot reach {url}: {line}"),
    _rule(r"connection (reset|closed)|early eof|rpc failed|unexpected disconnect|hung up unexpectedly|recv failure|"
          r"send failure|getpeername\(\) failed", BrokenOff, "cannot reach {url}: {line}"),
    _rule(r"certificate|\bssl\b|\btls\b|gnutls|openssl", BrokenOff, "no trusted connection to {url}: {line}",
          "give the certificate authority as ca_file (a GitRepository's Secret: ca.crt) if it is a private one; if it "
          "is given, the certificate has expired, or is for another host"),
    _rule(r"not valid: is this a git", NoGitAnswer, "cannot read {url}: {line}"),
    _rule(r"unable to access|could not read from remote|remote error|bad line length|protocol error|expected flush|"
          r"invalid server response|dumb http|unable to update url base|bad band",
          GitUnavailable, "cannot read {url}: {line}"),
)  # fmt: skip


def remote_failure(source: GitSource, complaint: str) -> GitsyncError | Unadvertised | Damaged:
    """What a failed conversation with the remote means. ``Damaged`` when nothing says that it is the remote's fault."""
    lines = [line for line in complaint.splitlines() if line.strip() and not line.startswith(("remote:", "warning:"))]
    plain = [(line, _NAMES.sub("''", line)) for line in lines]
    if any(_UNADVERTISED.search(text) for _, text in plain):
        return Unadvertised(clean(lines[0], source))
    for rule in _RULES:
        for line, text in plain:
            if rule.pattern.search(text):
                hint = rule.hint if rule.hint is not _CHECK_URL or source.local_path is None else _CHECK_PATH
                if rule.kind is GitAuthRefused and source.access.passphrase:  # ssh has no word of a wrong one
                    hint += "; the passphrase (password) may be another than that of the key"
                return rule.kind(rule.text.format(url=source.url, line=_cause(line, source)), hint=hint)
    return Damaged(clean(lines[-1], source) if lines else "git failed without a word")


def no_git(url: str, media_type: str) -> GitUnavailable:
    """What to raise for a server that answers with a page."""
    return GitUnavailable(
        f"{url} answers with a page ({media_type}) and not as a git repository",
        hint="correct the URL; where people have to log in, many servers answer so, too: see secretRef",
    )


def local_failure(command: str, path: Path, complaint: str) -> StateUnwritable | Damaged:
    """What a failed git on a mirror of ours means."""
    if _UNWRITABLE.search(complaint):
        return StateUnwritable(f"the git mirror {path} cannot be written: {complaint}", hint=MAKE_ROOM)
    return Damaged(f"git {command}: {complaint}")


def clean(text: str, source: GitSource) -> str:
    """A line fit for messages: no secret, no control character (the other side wrote it), not endless."""
    for secret in source.access.secrets:
        for form in {secret, quote(secret, safe=""), quote(secret)}:
            text = text.replace(form, "****")
    text = _USERINFO.sub("****@", _CONTROL.sub(" ", text)).strip()
    return shorten(text, _LONGEST)


def _cause(line: str, source: GitSource) -> str:
    """``fatal: unable to access 'https://...': Could not resolve host`` -> ``Could not resolve host``."""
    cause = _LOOKED.sub("", _PREFIX.sub("", clean(line, source)))
    return re.sub(r"^unable to access '[^']*': ", "", cause).strip("@ ")
