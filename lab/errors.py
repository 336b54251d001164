"""The one exception of the rehearsal region that a person sees, as one line."""

from __future__ import annotations


class LabError(Exception):
    """What is wrong, where, and what to do next; printed without a traceback, exit code 1."""
