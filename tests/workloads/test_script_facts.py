"""What a script's output says as facts."""

from __future__ import annotations

import pytest

from workloads.connectors.script import facts_in
from workloads.errors import WorkloadError


def test_lines_of_a_config_file_that_begin_with_a_brace_are_no_facts() -> None:
    """Collected logs hold the target's saved configuration, JSON over many lines."""
    said = 'words\n{"changed": 2}\n{\n  "storage_objects": []\n}\n{"changed": 3}\n'
    assert facts_in(said) == ({"changed": 2}, {"changed": 3})


def test_what_stands_in_a_section_is_a_tools_word() -> None:
    said = '@@ journal\n{"changed": 7}\n{"half": \n@@ end\n{"changed": 1}\n'
    assert facts_in(said) == ({"changed": 1},)


@pytest.mark.parametrize(
    "line",
    [
        '{"options": "context="system_u:object_r:nfs_t:s0""}',
        r'{"device": "//nas/My\040Share"}',
        '{"changed": ',
        '{"size_bytes": }',
        '{"count": ' + "9" * 5000 + "}",
        '{"a": 1} {"b": 2}',
        '{"seconds": NaN}',
        '{"seconds": -Infinity}',
    ],
)
def test_a_fact_that_is_no_json_is_never_left_out_silently(line: str) -> None:
    with pytest.raises(WorkloadError) as fault:
        facts_in(f'{{"changed": 1}}\n{line}\n{{"changed": 0}}\n', "client-1")
    assert str(fault.value).startswith(f"client-1: a script's answer is no JSON: {line[:60].strip()}")
    assert len(str(fault.value)) < 330
