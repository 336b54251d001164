"""What a generator takes long to make is made once, and each test has its own copy."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

Made = TypeVar("Made")
P = ParamSpec("P")


def made_once(init: Callable[Concatenate[Made, P], None]) -> Callable[Concatenate[Made, P], None]:
    """For an __init__ that the same arguments always make the same object of."""
    made: dict[tuple[type, str], bytes] = {}

    def copy(self: Made, /, *arguments: P.args, **named: P.kwargs) -> None:
        key = type(self), repr((arguments, sorted(named.items())))  # a test may have a class of its own
        if key not in made:
            init(self, *arguments, **named)
            made[key] = pickle.dumps(vars(self))
        else:
            vars(self).update(pickle.loads(made[key]))

    return copy
