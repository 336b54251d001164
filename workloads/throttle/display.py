"""What a person sees, on standard error: the command's own output stays as it is."""

from __future__ import annotations

import contextlib
import os
import sys

import rich.console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

LIVE_S = 0.5
QUIET_S = 10.0  # without a terminal
_CLEAR = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))


class PatientConsole(rich.console.Console):
    """Standard error. Rich's own ends the program when nobody reads it any more."""

    def __init__(self) -> None:
        super().__init__(stderr=True, highlight=False)

    def on_broken_pipe(self) -> None:
        """Says nothing from now on; what is left in the buffer goes nowhere, so that it is no fault at the end."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


class Display:
    """A moving line on a terminal, a line every ten seconds elsewhere.

    Not rich's own live display: that hides the cursor, and nobody would show it again after SIGKILL. When nobody reads
    any more, the throttle goes on without words.
    """

    def __init__(self, console: rich.console.Console | None = None) -> None:
        self._console = console or PatientConsole()
        self._moving = False
        self._shown_s: float | None = None

    def due(self, now_s: float) -> bool:
        """Whether it is time to say how it goes; first an interval after the first call."""
        if self._shown_s is None:
            self._shown_s = now_s
        return now_s - self._shown_s >= (LIVE_S if self._console.is_terminal else QUIET_S)

    def show(self, now_s: float, words: str) -> None:
        """How it goes."""
        self._shown_s = now_s
        with contextlib.suppress(OSError):
            if not self._console.is_terminal:
                self._console.print(Text(f"throttle: {words}"), soft_wrap=True)
                return
            self._console.control(_CLEAR)
            self._console.print(Text(f"throttle: {words}"), end="", no_wrap=True, overflow="crop", crop=True)
            self._moving = True

    def say(self, words: str) -> None:
        """A line that stays."""
        with contextlib.suppress(OSError):
            self.clear()
            self._console.print(Text(f"throttle: {words}"), soft_wrap=True)

    def clear(self) -> None:
        """Takes the moving line away."""
        if self._moving:
            self._moving = False
            with contextlib.suppress(OSError):
                self._console.control(_CLEAR)
