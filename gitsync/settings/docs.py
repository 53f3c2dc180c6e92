"""docs/settings.md, written from the settings themselves (``make docs``)."""

from __future__ import annotations

from itertools import groupby

from gitsync.settings.infos import SettingInfo, settings_infos

_HEAD = """\
# Settings

gitsync reads its settings from a file, then from the environment, then from flags; the later wins.

The file is YAML, named by `--config` or `GITSYNC_CONFIG`; its keys are the settings' names:

```yaml
repo: https://git.example/fleet.git
branch: main
path: clusters/prod
interval: 1m
git_username: deploy
git_password_file: /etc/gitsync/git-password
```

Passwords and tokens themselves are taken from the environment only: flags show in process lists, and files get
committed. An unknown key in the file is an error. An empty environment variable counts as not set.
Durations are written as Go writes them: `500ms`, `30s`, `5m`, `1h30m`.

<!-- Everything below is generated: make docs -->
"""


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD]
    for group, infos in groupby(settings_infos(), key=lambda info: info.group):
        parts.append(
            f"\n## {group}\n\n| Setting | Flag | Environment | Type | Default | Meaning |\n| - | - | - | - | - | - |\n"
        )
        parts.extend(_row(info) for info in infos)
    return "".join(parts)


def _row(info: SettingInfo) -> str:
    name = f"`{info.name}`" if not info.secret else f"{info.name} (not in the file)"
    flag = f"`{info.flag}`" if info.flag else "none"
    if info.boolean:
        flag = f"`{info.flag}`, `--no-{info.flag[2:]}`"
    default = f"`{info.default}`" if info.default and " " not in info.default else info.default
    return f"| {name} | {flag} | `{info.env}` | {info.type} | {default} | {info.description} |\n"
