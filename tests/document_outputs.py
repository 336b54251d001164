"""The outputs that README and docs/ show, and how they are compared with what is printed."""

from __future__ import annotations

import re
from pathlib import Path


def outputs_of(document: Path) -> list[str]:
    """Returns the lines of code blocks that are output: those that begin with no command."""
    lines = [line.strip() for line in document.read_text().splitlines() if line.startswith("    ")]
    commands = ("make ", "pulumi ", "export ", ".venv/", "+--", "|")
    return [line for line in lines if not line.startswith(commands)]


def shape(line: str) -> str:
    """Returns a line without what differs between two runs: ids, numbers, and the space between columns."""
    without_ids = re.sub(r"\b(i|eipalloc|vol)-[0-9a-f]+", r"\1-0", line)
    return re.sub(r"\d[\d,.:\u202f ]*", "0 ", without_ids).replace(" ", "")
