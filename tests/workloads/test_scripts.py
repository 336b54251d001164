"""The scripts: whole, whether they arrive whole, and how their arguments and faults travel."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads.connectors.proxy_socket import proxy_arguments
from workloads.connectors.script import (
    END_OF_SCRIPT,
    END_OF_SECTIONS,
    LOCK_PATH,
    Script,
    facts_in,
    script_command,
    script_error,
    sections,
)
from workloads.md_raid.context import script
from workloads.scripts import SHARED, find_script

PACKAGE = SHARED.parent
LIBRARY = (SHARED / "lib.sh").read_text()
ALL = sorted(path for path in PACKAGE.glob("**/scripts/*.sh") if path.stem != "lib")
PLACES = [path.relative_to(PACKAGE) for path in ALL]


def run_here(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script as a host's shell would, without root and lock."""
    command = script_command("probe", list(arguments), "root", locked=False)
    return subprocess.run(["bash", "-c", command], input=text, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("locked", [True, False])
def test_a_script_does_not_run_what_an_account_has_for_its_own_shell(tmp_path: Path, locked: bool) -> None:
    """bash reads ~/.bashrc where it finds that SSH started it, also for `bash -c`, if root's shell is another one."""
    (tmp_path / ".bashrc").write_text("echo read\nprintf() { echo theirs; }\n")
    (tmp_path / "environment").write_text("echo read by BASH_ENV\n")
    command = script_command("probe", [], "root", locked=locked).replace(LOCK_PATH, str(tmp_path / "lock"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SSH_CLIENT": "192.0.2.1 50000 22"}
    environment |= {"BASH_ENV": str(tmp_path / "environment"), "BASH_FUNC_cat%%": "() { echo theirs; }"}
    text = f"printf '{{\"changed\": 0}}\\n'\n{END_OF_SCRIPT}\n"
    done = subprocess.run(["sh", "-c", command], input=text, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"changed": 0}\n', "")


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_every_script_is_used_described_and_understood_by_bash(place: Path) -> None:
    folder = (PACKAGE / place).parent
    of_many = folder == SHARED or len([path for path in ALL if path.stem == place.stem]) > 1
    users = PACKAGE if of_many else folder.parent  # a shared one, and one that several have, may be used by any
    code = "".join(path.read_text() for path in users.glob("**/*.py"))
    assert f'"{place.stem}"' in code, f"{place} is used nowhere"
    text = (PACKAGE / place).read_text()
    assert text.startswith("# "), f"{place} does not say what it does"
    assert text.rstrip().endswith(END_OF_SCRIPT)
    found = find_script(place.stem, folder)
    done = subprocess.run(["bash", "-n"], input=found.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("place", [place for place in PLACES if place.stem == "host_logs"], ids=str)
def test_logs_come_in_sections_whatever_tool_is_missing(place: Path) -> None:
    done = run_here(find_script("host_logs", (PACKAGE / place).parent, "sections").text, "client")
    assert done.returncode == 0, done.stderr
    found = sections(done.stdout)
    assert {"dmesg", "failed-units", END_OF_SECTIONS} < found.keys()
    assert len(found) >= 5, "some are the experiment's own"


def test_every_script_that_is_named_exists() -> None:
    code = "".join(path.read_text() for path in PACKAGE.glob("**/*.py"))
    named = set(re.findall(r'\b(?:script|on_client)\(\s*"(\w+)"', code))
    assert named <= {place.stem for place in PLACES}


def test_the_command_for_a_user_with_sudo() -> None:
    words = shlex.split(script_command("storage_volumes", ["15", "vol-1=/dev/sdf"], "admin"))
    assert words[:9] == [
        "sudo",
        "-n",
        "flock",
        "--close",
        "--timeout",
        "90",
        "--conflict-exit-code",
        "75",
        "/run/tidemark.lock",
    ]
    assert words[9:13] == ["bash", "--norc", "-p", "-c"]
    assert words[14:] == ["storage_volumes", "15", "vol-1=/dev/sdf"]


def test_arguments_arrive_as_they_are() -> None:
    strange = ["a b", "it's", '"', "$(reboot)", "*", "", "\\", "`id`", "ü"]
    text = f'printf "%s\\n" "$#" "$@"\n{END_OF_SCRIPT}\n'
    done = run_here(text, *strange)
    assert done.stdout == f"{len(strange)}\n" + "".join(f"{word}\n" for word in strange)


def test_a_script_that_was_cut_short_does_nothing(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    done = run_here(f"touch {witness}\necho half of the scr")
    assert done.returncode == 70
    assert not witness.exists()
    assert "incomplete" in str(script_error("client", "probe", done.returncode, done.stderr))


def test_standard_input_is_used_up_before_the_script_runs() -> None:
    """A tool that reads standard input must not swallow the rest of the script."""
    done = run_here(f"cat\necho after\n{END_OF_SCRIPT}\n")
    assert done.stdout == "after\n"


def test_the_fault_that_a_script_names_is_what_is_shown() -> None:
    done = run_here(script("storage_zeroed").text.replace("python3", "false"), "vol-1")
    assert done.returncode == 1
    fault = 'die "the disk is on fire" "put it out"\n'
    done = run_here(Script("probe", LIBRARY + fault + END_OF_SCRIPT).text)
    assert str(script_error("storage-1", "probe", done.returncode, done.stderr)) == (
        "storage-1: the disk is on fire; put it out"
    )


@pytest.mark.parametrize(
    ("code", "stderr", "expected"),
    [
        (75, "", "client: another task has been at work on it for 90 s; wait"),
        (1, "sudo: a password is required", "client: sudo: a password is required; allow the user sudo"),
        (1, "sudo: Ein Passwort ist notwendig", "client: sudo: Ein Passwort ist notwendig; allow the user sudo"),
        (127, "bash: line 3: mdadm: command not found", "client: probe failed with exit code 127 (bash: line 3: mdadm"),
        (1, "", "client: probe failed with exit code 1 (no message)"),
    ],
)
def test_other_faults_are_one_line(code: int, stderr: str, expected: str) -> None:
    error = str(script_error("client", "probe", code, stderr))
    assert error.startswith(expected)
    assert "\n" not in error


def test_library_functions_change_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "conf" / "file"
    text = f'{LIBRARY}\nput {file} "one"\nlink /dev/null {tmp_path}/link\nfinish\n{END_OF_SCRIPT}\n'
    assert run_here(text).stdout == '{"changed": 2}\n'
    assert run_here(text).stdout == '{"changed": 0}\n'
    assert file.read_text() == "one\n"


STRANGE = [
    'a "b" c',
    "back\\slash \\040 \\n",
    "two\nlines\tand a tab\r",
    "% %s %d",
    "&",
    "\x01\x1b[0m\x1f\x7f",
    "ü€",
    "",
    "$(id)`id`",
]


def test_any_text_goes_into_json_as_it_is() -> None:
    body = 'json \'{"text": "%s", "number": %s, "100%%": "%s"}\' "$1" 12 "$2"; finish'
    for text in STRANGE:
        done = run_here(f"{LIBRARY}\n{body}\n{END_OF_SCRIPT}\n", text, text * 2)
        assert facts_in(done.stdout) == ({"text": text, "number": 12, "100%": text * 2}, {"changed": 0})


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
@settings(max_examples=30, deadline=None)
def test_whatever_goes_into_json_comes_out_of_it(text: str) -> None:
    done = run_here(f'{LIBRARY}\njson \'{{"text": "%s"}}\' "$1"\n{END_OF_SCRIPT}\n', text)
    assert json.loads(done.stdout) == {"text": text}


def test_scripts_print_json_through_the_one_function_that_escapes() -> None:
    """host_clock.sh prints a number and nothing else; how long that takes is part of what it measures."""
    found = [place for place in PLACES if re.search(r"""printf +['"]\{""", (PACKAGE / place).read_text())]
    assert [place.stem for place in found] == ["host_clock"]


def test_files_of_the_kernel_are_read_whole() -> None:
    """A loop of `read` seeks to where it stopped, which is in another line when one before it has become longer."""
    loops = [
        f"{path}" for path in [*ALL, *SHARED.glob("**/*.sh")] if re.search(r"done < /(proc|sys)/", path.read_text())
    ]
    assert loops == []


def test_an_address_is_not_filled_in_twice() -> None:
    """The zone of a link-local address is an interface's name (RFC 4007, section 11.2)."""
    assert proxy_arguments("nc %h %p", "fe80::1%p2p1", 22) == ["nc", "fe80::1%p2p1", "22"]


def test_proxy_commands() -> None:
    assert proxy_arguments("ssh -W '[%h]:%p' jump%%1", "host", 2222) == ["ssh", "-W", "[host]:2222", "jump%1"]
