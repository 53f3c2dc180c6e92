"""``python -m gitsync.settings`` prints docs/settings.md."""

import sys

from gitsync.settings.docs import markdown

sys.stdout.write(markdown())
