"""Every setting as data: its names, type, default and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pydantic.fields import FieldInfo

from gitsync.api.duration import format_duration
from gitsync.settings.settings import ENV_PREFIX, Settings, Spec


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """One setting. ``flag`` is "" for secrets, which only the environment may hold."""

    name: str
    env: str
    flag: str
    group: str
    type: str
    default: str
    description: str
    secret: bool

    @property
    def boolean(self) -> bool:
        return self.type == "boolean"


@cache
def settings_infos() -> tuple[SettingInfo, ...]:
    """All settings, in the order they are documented in."""
    return tuple(_info(name, field) for name, field in Settings.model_fields.items())


def _info(name: str, field: FieldInfo) -> SettingInfo:
    (spec,) = (item for item in field.metadata if isinstance(item, Spec))
    flag = "" if spec.secret else f"--{name.replace('_', '-')}"
    return SettingInfo(
        name=name,
        env=ENV_PREFIX + name.upper(),
        flag=flag,
        group=spec.group,
        type=spec.type,
        default=_default(field) if spec.default is None else spec.default,
        description=field.description or "",
        secret=spec.secret,
    )


def _default(field: FieldInfo) -> str:
    if isinstance(field.default, float):  # every float is a duration
        return format_duration(field.default).replace("m0s", "m")
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default or "")
