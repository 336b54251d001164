"""For the tests of reports: what they draw."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import vl_convert

Draw = Callable[..., str]


@pytest.fixture(scope="session", autouse=True)
def _draw_once() -> Iterator[Draw]:
    """What looks the same is drawn once: three quarters of what the tests of pages draw is repeated."""
    draw: Draw = vl_convert.vegalite_to_svg
    drawings: dict[str, str] = {}

    def draw_once(*what: Any, **settings: Any) -> str:
        key = json.dumps([what, settings])
        if key not in drawings:
            drawings[key] = draw(*what, **settings)
        return drawings[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vl_convert, "vegalite_to_svg", draw_once)
        yield draw


@pytest.fixture
def draw_anew(_draw_once: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that ask whether a drawing made again is the same."""
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", _draw_once)
