"""What a wrong stack file is in a test, and how the program refuses it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
import pytest

from tests.components.stack_program import Run, run_program

TABLE_TYPES = (
    "c4.4xlarge, c4.8xlarge, c5.18xlarge, c5.9xlarge, c5n.18xlarge, c5n.9xlarge, m4.10xlarge, m4.16xlarge, m4.xlarge, "
    "m5.xlarge, t3.micro"
)
"""The instance types of aws_offers, as a refusal lists them."""


@dataclass(frozen=True)
class Wrong:
    """Settings that are changed (None: removed), and the line that is expected, without the file's name."""

    changes: dict[str, str | None]
    line: str
    name: str = field(default="")

    def __str__(self) -> str:
        return self.name or self.line.partition(";")[0][:60]


def lines_of_refusal(stack: str, config: dict[str, str], *, image_error: str | None = None) -> list[str]:
    """Run the program, which must refuse, having created nothing; give its lines without the file's name."""
    run = Run()
    with pytest.raises(pulumi.RunError) as refusal:
        run_program(run, config, stack, image_error=image_error)
    assert run.resources == []
    assert refusal.value.__suppress_context__  # the person gets the line, not how it came about
    lines = str(refusal.value).splitlines()
    file = f"stacks/Pulumi.{stack}.yaml: "
    assert all(line.startswith(file) for line in lines)
    return [line.removeprefix(file) for line in lines]
