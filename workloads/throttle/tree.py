"""A process and all that it has started: found again and again, stopped and continued together.

Parents are stopped before their children: who stands starts nothing new, so the list of children read after that is
whole; and a parent that waits for its children does not see them stop. They are continued in the opposite order,
children first, for the second reason: when the parent runs again, its children are no longer stopped. A shell would
otherwise say that its job was suspended, and take the terminal back.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from workloads.throttle.processes import STOPPED, Identity, Stat, children, open_pidfd, read_stat


@dataclass
class Member:
    """A process of the tree. `held` while it stands because of us, `told` once whoever watches over us knows of it."""

    identity: Identity
    name: str
    pidfd: int
    held: bool = False
    told: bool = False
    out_of_reach: bool = False

    @property
    def pid(self) -> int:
        """Its pid, for looking at it; signals go to `pidfd`."""
        return self.identity.pid


class Tree:
    """The processes under `roots`, and those once seen there that have lost their parents.

    `announce` is told of a process before it is stopped for the first time. A process that somebody else has stopped is
    left as it is until somebody else continues it. `out_of_reach` is told of one that may not be signalled.
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
        self._stop_order: list[Member] = []

    @property
    def pids(self) -> list[int]:
        """Those there were at the last look."""
        return list(self._members)

    def find(self) -> None:
        """Looks for new processes, and forgets ended ones."""
        self._walk(lambda member, stat: None)

    def stop(self) -> None:
        """Stops all that are not stopped yet. Called again, it stops those that have come since."""
        self._walk(self._stop)

    def resume(self) -> None:
        """Continues those that we have stopped."""
        for member in reversed(self._stop_order):
            if member.held:
                member.held = False
                _signal(member, signal.SIGCONT)
        self._stop_order.clear()

    def close(self) -> None:
        """Continues all and lets go of them."""
        self.resume()
        for member in self._members.values():
            os.close(member.pidfd)
        self._members.clear()

    def _walk(self, visit: Callable[[Member, Stat], None]) -> None:
        seen: set[int] = set()
        waiting = [*reversed(self._members), *reversed(list(self._roots()))]  # the last is the next
        while waiting:
            pid = waiting.pop()
            if pid in seen:
                continue
            seen.add(pid)
            found = self._admit(pid)
            if found is not None:
                visit(*found)
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
        if member.held or member.out_of_reach or stat.state == STOPPED:
            return
        if not member.told:
            self._announce(member.identity)
            member.told = True
        try:
            _signal(member, signal.SIGSTOP)
        except PermissionError:
            member.out_of_reach = True
            self._out_of_reach(member)
            return
        member.held = True
        self._stop_order.append(member)

    def _forget(self, member: Member) -> None:
        os.close(member.pidfd)
        del self._members[member.pid]
        if member.held:
            self._stop_order.remove(member)


def _signal(member: Member, signum: int) -> None:
    try:
        signal.pidfd_send_signal(member.pidfd, signum)
    except ProcessLookupError:  # ended, and known to have at the next look
        return
