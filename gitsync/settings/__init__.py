"""How gitsync is configured: one model of all settings, read from a file, then the environment, then flags.

``load(flags)`` gives a ``Settings`` or raises SettingsError. ``settings_infos()`` lists every setting with its names,
type and default: the command line makes its flags from it and docs/settings.md is written from it.
"""

from gitsync.settings.docs import markdown
from gitsync.settings.infos import SettingInfo, settings_infos
from gitsync.settings.load import config_file, load
from gitsync.settings.settings import Settings

__all__ = ["SettingInfo", "Settings", "config_file", "load", "markdown", "settings_infos"]
