"""rsync's running line, as rsync 3.2 and 3.5 write it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from workloads.encrypted_backup.context import Copied, copied


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("     12,345,678  45%    1.20MB/s    0:00:12 (xfr#5, to-chk=12/34)", Copied(12_345_678, 45, 12)),
        ("              0   0%    0.00kB/s    0:00:00  ", Copied(0, 0, 0)),
        ("1,099,511,627,776  99%  110.51MB/s   27:10:02 (xfr#9, to-chk=0/9)", Copied(1 << 40, 99, 97802)),
    ],
)
def test_lines_of_progress(line: str, expected: Copied) -> None:
    assert copied(line) == expected


@pytest.mark.parametrize("line", ["", "created 3 files", '{"changed": 1}', "rsync: [sender] 12% of nothing"])
def test_other_lines(line: str) -> None:
    assert copied(line) is None


def test_words_for_a_person() -> None:
    assert Copied(12_345_678, 45, 12).words == "12.3 MB, 45 %, 12 s left"


def test_a_real_rsync_is_understood(tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("no rsync here (make setup-tests installs it)")
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_bytes(b"x" * 5_000_000)
    command = ["rsync", "-a", "--no-inc-recursive", "--info=progress2", f"{tmp_path}/from/", f"{tmp_path}/to/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.replace("\r", "\n")
    assert [found for line in said.splitlines() if (found := copied(line))][-1].done_bytes == 5_000_000
