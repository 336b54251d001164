"""A process and its descendants: searched for repeatedly, stopped and continued together.

Parents are stopped before their children. A stopped process starts nothing new, so the list of its children is then
complete; and a parent that waits for its children does not see them stop. Children are continued first, for the second
reason: a shell that runs while its job is stopped would report it as suspended, and take the terminal back.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from workloads.throttle.processes import STOPPED, Identity, Stat, children, open_pidfd, read_stat


@dataclass
class Member:
    """A process of the tree. `announced`: the watchdog knows it."""

    identity: Identity
    name: str
    pidfd: int
    announced: bool = False
    out_of_reach: bool = False

    @property
    def pid(self) -> int:
        """Its pid, for reading /proc; signals go to `pidfd`."""
        return self.identity.pid


class Tree:
    """The processes under `roots`, and those once seen there whose parents have ended.

    Calls `announce` before it stops a process for the first time, and `out_of_reach` for one that may not be signalled.
    Leaves a process alone that something else has stopped, until that continues it.
    """

    def __init__(
        self,
        roots: Callable[[], Iterable[int]],
        announce: Callable[[Identity], None],
        out_of_reach: Callable[[Member], None],
    ) -> None:
        self._roots = roots
        self._announce = announce
        self._out_of_reach = out_of_reach
        self._members: dict[int, Member] = {}
        self._stopped: dict[int, Member] = {}  # by us, parents first

    @property
    def pids(self) -> list[int]:
        """The processes found by the last search."""
        return list(self._members)

    def find(self) -> None:
        """Searches for new processes, and drops ended ones."""
        for _ in self._walk():
            pass

    def stop(self) -> None:
        """Stops every process that is not stopped yet; called again, also those started since."""
        for member, stat in self._walk():
            self._stop(member, stat)

    def resume(self) -> None:
        """Continues the processes that it has stopped."""
        while self._stopped:
            _, member = self._stopped.popitem()
            _signal(member, signal.SIGCONT)

    def close(self) -> None:
        """Continues all processes and drops them."""
        self.resume()
        for member in self._members.values():
            os.close(member.pidfd)
        self._members.clear()

    def _walk(self) -> Iterator[tuple[Member, Stat]]:
        """Yields each process before it looks for its children."""
        seen: set[int] = set()
        waiting = [*reversed(self._members), *reversed(list(self._roots()))]  # taken from the end
        while waiting:
            pid = waiting.pop()
            if pid in seen:
                continue
            seen.add(pid)
            found = self._admit(pid)
            if found is not None:
                yield found
                waiting += reversed(children(pid))

    def _admit(self, pid: int) -> tuple[Member, Stat] | None:
        stat = read_stat(pid)
        member = self._members.get(pid)
        if member is not None:
            if stat is not None and not stat.ended and stat.identity == member.identity:
                return member, stat
            self._forget(member)
        found = open_pidfd(pid) if stat is not None and not stat.ended else None
        if found is None:
            return None
        stat, pidfd = found
        self._members[pid] = Member(stat.identity, stat.name, pidfd)
        return self._members[pid], stat

    def _stop(self, member: Member, stat: Stat) -> None:
        if member.pid in self._stopped or member.out_of_reach or stat.state == STOPPED:
            return
        if not member.announced:
            self._announce(member.identity)
            member.announced = True
        try:
            _signal(member, signal.SIGSTOP)
        except PermissionError:
            member.out_of_reach = True
            self._out_of_reach(member)
            return
        self._stopped[member.pid] = member

    def _forget(self, member: Member) -> None:
        os.close(member.pidfd)
        del self._members[member.pid]
        self._stopped.pop(member.pid, None)


def _signal(member: Member, signum: int) -> None:
    try:
        signal.pidfd_send_signal(member.pidfd, signum)
    except ProcessLookupError:  # it has ended; the next search drops it
        return
