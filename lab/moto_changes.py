"""Changes methods of moto's classes where EC2 behaves otherwise (lab/ec2_behavior.py, lab/ec2_deletion.py)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Method = Callable[..., Any]
_changes: dict[tuple[type, str], Method] = {}


def instead_of(owner: type, name: str) -> Callable[[Method], Method]:
    """Registers a function for the place of a method, which the function gets as its first argument."""
    moto = getattr(owner, name)

    def register(change: Method) -> Method:
        @functools.wraps(moto)
        def method(*arguments: Any, **named: Any) -> Any:
            return change(moto, *arguments, **named)

        _changes[owner, name] = method
        return change

    return register


def change_moto() -> None:
    """Puts all registered functions in their places; a second call changes nothing."""
    for (owner, name), method in _changes.items():
        setattr(owner, name, method)
