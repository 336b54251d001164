"""For the tests of reports: what they draw."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import vl_convert

Draw = Callable[..., Any]


def _once(draw: Draw, folder: Path) -> Draw:
    """Draws what looks the same once, and keeps it in a folder that the workers of pytest-xdist share."""

    def drawn(*what: Any, **settings: Any) -> Any:
        key = hashlib.sha256(json.dumps([draw.__name__, what, settings]).encode()).hexdigest()
        for kind in (".svg", ".png"):
            if (file := folder / f"{key}{kind}").exists():
                content = file.read_bytes()
                return content.decode() if kind == ".svg" else content
        new = draw(*what, **settings)
        kind, content = (".svg", new.encode()) if isinstance(new, str) else (".png", new)
        half = folder / f"{key}.{os.getpid()}"
        half.write_bytes(content)
        half.rename(folder / f"{key}{kind}")
        return new

    return drawn


@pytest.fixture(scope="session", autouse=True)
def _draw_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Draw]:
    """Three quarters of what the tests of pages draw is repeated, and starting to draw takes each worker a second."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "drawings"
    folder.mkdir(exist_ok=True)
    draw: Draw = vl_convert.vegalite_to_svg
    with pytest.MonkeyPatch.context() as patch:
        for name in ("vegalite_to_svg", "svg_to_png"):
            patch.setattr(vl_convert, name, _once(getattr(vl_convert, name), folder))
        yield draw


@pytest.fixture
def draw_anew(_draw_once: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that ask whether a drawing made again is the same."""
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", _draw_once)
