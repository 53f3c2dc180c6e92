"""What patterns take of memory while they look through text that somebody else has written."""

from __future__ import annotations

import subprocess
import sys

import pytest

SEARCHES = {
    "comments above a document": "from gitsync.kubeyaml import split; list(split('#\\n' * 5_000_000 + 'a: 1'))",
    "metadata of many lines": "from gitsync.build.heads import head_of; "
    "head_of('apiVersion: v1\\nkind: A\\nmetadata:\\n  name: a\\n' + '  #\\n' * 2_000_000)",
    "a long origin": "from gitsync.build.origins import ANNOTATION, origin_of; "
    "origin_of('metadata:\\n  annotations:\\n' + f'    {ANNOTATION}: |\\n' + '      \\n' * 200_000)",
    "a long word": "from gitsync.diff.yamltext import yaml_lines; yaml_lines({'a': 'x' * 3_000_000})",
    "backslashes": "from gitsync.kubeyaml import load; load('a: \"' + '\\\\' * 8_000_000 + '/\"')",
    "underscores": "from gitsync.kubeyaml import load; load('a: .' + '5_' * 4_000_000 + '5')",
}
#: Some times what the text itself takes, in MiB; a pattern that repeats a group, and may go back in it, takes hundreds.
ENOUGH = {"a long origin": 12}


@pytest.mark.parametrize("name", SEARCHES)
def test_looking_through_a_large_text_takes_little_memory(name: str) -> None:
    code = f"""
import resource
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
{SEARCHES[name].partition("; ")[0]}
before = peak()
{SEARCHES[name].partition("; ")[2]}
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert float(done.stdout) < ENOUGH.get(name, 90), f"{done.stdout} MiB"
