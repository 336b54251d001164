"""Which experiments can be rehearsed, and what their stack files say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import rehearse, stacks
from lab.errors import LabError
from lab.service_model import load
from lab.stacks import rehearsable_experiments, rehearsal_settings, stack_config

TOY = """\
config:
  aws:region: eu-west-1
  aws:endpoints:
    - ec2: http://127.0.0.1:4566
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with stack files for AWS alone."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.toy.eu-west-1.yaml").write_text("config:\n  aws:region: eu-west-1\n")
    monkeypatch.setattr(stacks, "PROJECT", tmp_path)
    return tmp_path / "stacks"


def test_every_experiment_with_a_stack_for_it_can_be_rehearsed(folder: Path) -> None:
    assert rehearsable_experiments() == ()
    (folder / "Pulumi.toy.lab.yaml").write_text(TOY)
    assert rehearsable_experiments() == ("toy",)
    assert rehearsal_settings("toy") == stacks.RehearsalSettings("eu-west-1", None, False, 0)
    assert rehearse._models(rehearse._check(["toy"], keep=False, plan=None), "efs-2018") == {"toy": None}


def test_a_stack_names_what_its_rehearsal_needs(folder: Path) -> None:
    settings = "  rehearsal:serviceModel: efs-2018\n  rehearsal:beside: true\n  rehearsal:seconds: 40\n"
    (folder / "Pulumi.toy.lab.yaml").write_text(TOY + settings)
    assert rehearsal_settings("toy") == stacks.RehearsalSettings("eu-west-1", "efs-2018", True, 40)
    assert rehearse._models(rehearse._check(["toy"], keep=False, plan=None), None) == {"toy": load("efs-2018")}
    assert rehearse._models(rehearse._check(["toy"], keep=False, plan=None), "none") == {"toy": None}


def test_a_misspelt_setting_is_named(folder: Path) -> None:
    (folder / "Pulumi.toy.lab.yaml").write_text(TOY + "  rehearsal:servicemodel: efs-2018\n")
    with pytest.raises(LabError, match=r"toy\.lab\.yaml: rehearsal:servicemodel: not a setting of a rehearsal; they"):
        rehearsal_settings("toy")


def test_a_duration_is_a_whole_number_of_seconds(folder: Path) -> None:
    (folder / "Pulumi.toy.lab.yaml").write_text(TOY + "  rehearsal:seconds: 1.5\n")
    with pytest.raises(LabError, match=r"toy\.lab\.yaml: rehearsal:seconds is 1.5; expected a whole number"):
        rehearsal_settings("toy")


def test_the_stacks_of_this_project_can_be_rehearsed_in_one_region() -> None:
    assert len(rehearsable_experiments()) > 1
    assert len({rehearsal_settings(each).region for each in rehearsable_experiments()}) == 1
    assert any(rehearsal_settings(each).service_model for each in rehearsable_experiments())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "wrong.lab: no such stack; there are .*md-raid.lab"),
        ("config: [", "Pulumi.wrong.lab.yaml: not YAML: "),
        ("- config", "Pulumi.wrong.lab.yaml: no `config:` in it"),
        ("config:\n", "Pulumi.wrong.lab.yaml: no `config:` in it"),
        ("config:\n  aws:region: eu-central-1\n", "Pulumi.wrong.lab.yaml: no aws:endpoints, so this stack is for AWS"),
    ],
)
def test_a_wrong_stack_file_is_one_line(
    text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stacks"
    folder.mkdir()
    (folder / "Pulumi.md-raid.lab.yaml").touch()
    if text is not None:
        (folder / "Pulumi.wrong.lab.yaml").write_text(text)
    monkeypatch.setattr(stacks, "PROJECT", tmp_path)
    with pytest.raises(LabError, match=said) as fault:
        stack_config("wrong.lab", "http://127.0.0.1:7")
    assert "\n" not in str(fault.value)
