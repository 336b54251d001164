"""mypy reads the services of pulumi_aws that are used: of one that pyproject.toml does not name, all would be Any."""

from __future__ import annotations

import re
import tomllib

from tests.components.stack_program import PROJECT


def test_every_service_in_use_is_read() -> None:
    overrides = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (read,) = [set(each["module"]) for each in overrides if each["follow_imports"] == "normal"]
    text = "".join(path.read_text() for path in (PROJECT / "components").rglob("*.py"))
    used = set(re.findall(r"\baws\.([a-z0-9_]+)\.(?:[A-Z]|get_)", text))  # a type, or a look-up
    assert {"ec2", "efs", "s3", "ssm", "vpc"} < used
    assert {f"pulumi_aws.{service}.*" for service in used} <= read
