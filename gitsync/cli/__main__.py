"""``python -m gitsync.cli``, for where the entry point is not on the path."""

import sys

from gitsync.cli.app import main

sys.exit(main())
