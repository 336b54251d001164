"""The error that a task shows to a person: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence


class WorkloadError(Exception):
    """A fault that a person can act on; its text is one line.

    `what` is the fault, `remedy` the next step, `host` the host with the fault, if any. `detail` are lines of evidence,
    such as a console's last ones; `shown` has them, indented, below the line.
    """

    def __init__(self, what: str, remedy: str, host: str | None = None, detail: Sequence[str] = ()) -> None:
        self.what = " ".join(what.split())
        self.remedy = " ".join(remedy.split())
        self.host = host
        self.detail = tuple(detail)
        where = f"{host}: " if host else ""
        super().__init__(f"{where}{self.what}; {self.remedy}" if self.remedy else f"{where}{self.what}")

    @property
    def shown(self) -> str:
        """The line, and the details indented below it."""
        return "\n".join([str(self), *(f"    {line}" for line in self.detail)])


def last_line(output: str) -> str:
    """Returns the last line of a command's output that is not blank; empty where there is none."""
    return output.rstrip().rpartition("\n")[2].strip()
