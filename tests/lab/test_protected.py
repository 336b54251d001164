"""What the program protects outlives a destroy that does not name it, as with the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import program
from lab.errors import LabError
from lab.provider import resources

VOLUME = {"tags": {"Name": "server-volume-1"}}


@pytest.fixture
def unmade(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that were unmade, in that order; nothing is asked of an API."""
    ids: list[str] = []
    monkeypatch.setattr(resources, "delete", lambda _clients, _token, made_id, _outputs: ids.append(made_id))
    return ids


@pytest.fixture
def journal(tmp_path: Path) -> program.Journal:
    found = program.Journal(tmp_path / "journal.ndjson")
    found.add("aws:ec2/vpc:Vpc", "vpc-1", {})
    found.add("aws:ebs/volume:Volume", "vol-1", VOLUME, protected=True)
    found.add("aws:ec2/instance:Instance", "i-1", {})
    return found


def destroy(journal: program.Journal, *named: str) -> None:
    program.destroy(journal, "http://127.0.0.1:1", "eu-central-1", lambda _: None, named=named)


@pytest.mark.parametrize("named", [(), ("server-volume-2",), ("vol-1",)])
def test_what_is_not_named_stays(journal: program.Journal, unmade: list[str], named: tuple[str, ...]) -> None:
    with pytest.raises(LabError, match=r"server-volume-1 \(vol-1\) is protected"):
        destroy(journal, *named)
    assert unmade == ["i-1", "vpc-1"]
    assert journal.protected() == {"server-volume-1": "vol-1"}
    with pytest.raises(LabError, match="is protected"):
        destroy(journal)
    assert unmade == ["i-1", "vpc-1"], "a second time changes nothing"


def test_what_is_named_goes(journal: program.Journal, unmade: list[str]) -> None:
    destroy(journal, "server-volume-1")
    assert unmade == ["i-1", "vol-1", "vpc-1"]
    assert journal.entries() == []


def test_a_kept_volume_goes_once_it_is_named(journal: program.Journal, unmade: list[str]) -> None:
    with pytest.raises(LabError):
        destroy(journal)
    destroy(journal, "server-volume-1")
    assert unmade == ["i-1", "vpc-1", "vol-1"]
