"""The one error that a task reports to a person: what is wrong, where, and what to do about it."""


class WorkloadError(Exception):
    """A fault that a person can act on; its text is one line.

    `what` names the fault, `remedy` the next step; `host` is set when the fault is at one host.
    """

    def __init__(self, what: str, remedy: str, host: str | None = None) -> None:
        self.what = " ".join(what.split())
        self.remedy = " ".join(remedy.split())
        self.host = host
        where = f"{host}: " if host else ""
        super().__init__(f"{where}{self.what}; {self.remedy}" if self.remedy else f"{where}{self.what}")
