"""The plan of efs-iops: read strictly, and the cells that follow."""

from __future__ import annotations

import pytest

from workloads.efs_iops import plan as plans
from workloads.efs_iops.configure import file_sizes, files_of
from workloads.errors import WorkloadError

FIXED = """
[[fixed]]
operations = ["write", "read"]
request_bytes = [1, 4096]
writers = [1, 40]
clients = [1, 2]
"""
ALONG = """
[[sequential]]
operations = ["read"]
request_bytes = [1048576]
writers = [4]
clients = [1]
span_bytes = 16777216
"""
HEAD = 'name = "mine"\nseconds = 3\n'


def read(text: str) -> plans.Plan:
    return plans.Plan.read(text, "mine.toml")


def test_both_plans_are_read() -> None:
    for name in ("short", "full"):
        assert plans.Plan.load(name).name == name


def test_the_full_plan_has_every_cell_of_the_original() -> None:
    """Reads and writes of 1 B, 1 KiB and 10 KB with 1 to 40 writers on one instance and on two; and sequential ones."""
    found = plans.cells(plans.Plan.load("full"))
    cells = {(c.operation, c.request_bytes, c.writers, c.clients) for c in found if c.span_bytes is None}
    for operation in ("read", "write"):
        for size in (1, 1024, 10_000, 1000, 4096, 4097):
            for writers in (1, 2, 5, 10, 20, 40):
                assert {(operation, size, writers, 1), (operation, size, writers, 2)} <= cells
    assert {c.operation for c in found if c.span_bytes and c.request_bytes == 1 << 20} == {"read", "write"}


def test_the_short_plan_has_what_every_answer_needs() -> None:
    found = plans.cells(plans.Plan.load("short"))
    fixed = [c for c in found if c.span_bytes is None]
    for operation in ("read", "write"):
        mine = [c for c in fixed if c.operation == operation]
        assert min(c.writers * c.clients for c in mine) == 1
        assert {1, 2} == {c.clients for c in mine if c.writers == 40}
        assert {1, 2} == {c.clients for c in found if c.operation == operation and c.span_bytes}
    assert {1000, 4096, 4097} <= {c.request_bytes for c in fixed}


def test_cells_are_every_combination_once_in_the_order_of_the_file() -> None:
    found = plans.cells(read(HEAD + FIXED + FIXED + ALONG))
    assert len(found) == 2 * 2 * 2 * 2 + 1
    assert found[0].name == "write-1-w1-i1"
    assert found[-1] == plans.Cell("read-sequential-1048576-w4-i1", "read", 1 << 20, 4, 1, 1 << 24, 3)
    assert [c.pattern for c in found[-2:]] == ["fixed", "sequential"]


def test_a_group_may_take_more_time_than_the_others() -> None:
    found = plans.cells(read(HEAD + FIXED + "seconds = 8\n" + ALONG))
    assert {(cell.pattern, cell.seconds) for cell in found} == {("fixed", 8), ("sequential", 3)}
    with pytest.raises(WorkloadError, match=r"fixed\[0\].*seconds"):
        read(HEAD + FIXED + "seconds = 1\n")


def test_files_are_as_many_and_as_long_as_the_cells_need() -> None:
    found = plans.cells(read(HEAD + FIXED + ALONG))
    assert file_sizes(found) == (40, 4096, 4, 1 << 24)
    assert files_of(found[-1], "client-2")[::3] == [
        "/mnt/efs/tidemark/client-2/along-0001",
        "/mnt/efs/tidemark/client-2/along-0004",
    ]
    mine, theirs = (set(files_of(found[0], host)) for host in ("client-1", "client-2"))
    assert not mine & theirs, "clients work on files of their own"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "a table [[fixed]] or [[sequential]]: no cell is planned"),
        (HEAD + "fixed = 3\n", "fixed is 3; expected a list of tables [[fixed]]"),
        ('name = "mine"\nseconds = 1\n' + FIXED + ALONG, "seconds is 1; expected a whole number of seconds from 2"),
        (
            HEAD + FIXED.replace('"read"', '"erase"') + ALONG,
            'fixed[0].operations[1] is "erase"; expected one of write, read',
        ),
        (
            HEAD + FIXED.replace("[1, 40]", "[]") + ALONG,
            "fixed[0].writers is []; expected a list of at least one whole number",
        ),
        (
            HEAD + FIXED.replace("[1, 40]", "[0]") + ALONG,
            "fixed[0].writers[0] is 0; expected a whole number from 1 to 1024",
        ),
        (
            HEAD + FIXED.replace("[1, 40]", "[40, 40]") + ALONG,
            "fixed[0].writers[1] is 40, as is fixed[0].writers[0]; each must be different",
        ),
        (HEAD + FIXED.replace("writers", "workers") + ALONG, "fixed[0].workers is not a field; did you mean writers?"),
        (
            HEAD + FIXED + ALONG.replace("16777216", "1000"),
            "sequential[0].span_bytes is 1000; expected a multiple of every size in request_bytes",
        ),
        (HEAD + FIXED + "span_bytes = 4096\n" + ALONG, "fixed[0].span_bytes is not a field"),
        (HEAD + "hours = 3\n" + FIXED + ALONG, "hours is not a field"),
        ("name", "not TOML"),
    ],
)
def test_a_field_at_fault_is_named(text: str, words: str) -> None:
    with pytest.raises(WorkloadError) as fault:
        read(text)
    assert words in str(fault.value)
    assert "\n" not in str(fault.value)


def test_either_kind_of_cell_may_be_left_out() -> None:
    assert {c.pattern for c in plans.cells(read(HEAD + FIXED))} == {"fixed"}
    assert {c.pattern for c in plans.cells(read(HEAD + ALONG))} == {"sequential"}


def test_more_clients_than_there_are_is_refused() -> None:
    plan = read(HEAD + FIXED + ALONG)
    plans.check(plan, 2)
    with pytest.raises(WorkloadError, match="asks for 2, the inventory has 1"):
        plans.check(plan, 1)


def test_an_unknown_plan_shows_those_there_are() -> None:
    with pytest.raises(WorkloadError, match="give one of full, short"):
        plans.Plan.load("long")
