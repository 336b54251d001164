"""Plans of measurements: TOML files in plans/ of an experiment's folder, read into the Plan of its plan.py."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from documents import DocumentError, Model, Number, Text, read, read_text, read_toml
from workloads.errors import WorkloadError
from workloads.paths import user_path

Seconds = Annotated[float, Number(0.5, 86400, "seconds")]


@dataclass(frozen=True)
class PlanFile(Model):
    """What every plan has: a name, which stands in one line with other words."""

    name: Annotated[str, Text("a name of up to 100 characters on one line", most_characters=100)]

    @classmethod
    def folder(cls) -> Path:
        """Returns the folder of the experiment's own plans, beside the module of its Plan."""
        return Path(str(sys.modules[cls.__module__].__file__)).parent / "plans"

    @classmethod
    def load(cls, which: str | None) -> Self:
        """Reads the experiment's plan `which` (short when None), or the TOML file of that path."""
        name = "short" if which is None else which
        try:
            path = cls.folder() / f"{name}.toml"
            if not path.is_file():
                path = user_path(name)
            text = read_text(path)
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(sorted(each.stem for each in cls.folder().glob("*.toml")))
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise WorkloadError(
                f"--plan {name}: no such plan ({reason})", f"give one of {known}, or a TOML file's path"
            ) from error
        return cls.read(text, str(path))

    @classmethod
    def read(cls, text: str, source: str) -> Self:
        """Reads a plan's text. Raises WorkloadError: the first fault, and the others below it."""
        try:
            return read(cls, read_toml(text, source), source, "a table")
        except DocumentError as error:
            raise WorkloadError(error.lines[0], "", detail=error.lines[1:]) from None

    def to_dict(self) -> dict[str, Any]:
        """Returns the plan as the manifest has it."""
        return asdict(self)
