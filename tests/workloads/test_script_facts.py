"""What a script's output says as facts."""

from __future__ import annotations

from workloads.connections import facts_in


def test_lines_of_a_config_file_that_begin_with_a_brace_are_no_facts() -> None:
    """Collected logs hold the target's saved configuration, JSON over many lines."""
    said = 'words\n{"changed": 2}\n{\n  "storage_objects": []\n}\n{"changed": 3}\n'
    assert facts_in(said) == ({"changed": 2}, {"changed": 3})
