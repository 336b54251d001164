"""What `make setup` runs: what is missing is installed, and a failure is one line and leaves what was there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
Run = Callable[..., subprocess.CompletedProcess[str]]

# Ends the script that started it, as Ctrl-C or a closed window would.
PIP_THAT_IS_ENDED = "kill -TERM $PPID; sleep 0.1"
PIP_WITHOUT_NETWORK = """
echo "WARNING: Retrying after connection broken" >&2
echo "ERROR: Could not find a version" >&2
echo "ERROR: No matching distribution found for uv" >&2
exit 1"""
UV_WITHOUT_NETWORK = """
case "$1 $2" in
  venv*) for last; do :; done; mkdir -p "$last/bin"; echo half >"$last/bin/python" ;;
  *) echo "error: Request failed" >&2; echo "  cause: Temporary failure in name resolution" >&2; exit 2 ;;
esac"""
UV_THAT_WORKS = r"""
case "$1 $2" in
  venv*)
    for last; do :; done
    mkdir -p "$last/bin"
    printf '#!/bin/sh\nexit 0\n' >"$last/bin/python"
    chmod +x "$last/bin/python"
    ;;
esac"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a copy of a script in a project of its own, where programs in the folder `tools` come first."""
    project = tmp_path / "project"
    shutil.copytree(SCRIPTS, project / "scripts")
    (project / "requirements.lock").write_text("uv==1 \\\n    --hash=sha256:00\nrich==1 \\\n    --hash=sha256:11\n")

    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        path = f"{tmp_path / 'tools'}:{os.environ['PATH']}"
        command = [str(project / "scripts" / name), *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"PATH": path}
        )

    return run


def use_python(tmp_path: Path, *, pip: str = "", uv: str = "") -> None:
    """A python3 that makes environments whose pip brings that uv."""
    program(tmp_path / "parts" / "pip", pip)
    program(tmp_path / "parts" / "uv", uv)
    environment = f'mkdir -p "$3/bin"; cp {tmp_path}/parts/pip "$3/bin/python"; cp {tmp_path}/parts/uv "$3/bin/uv"'
    program(tmp_path / "tools" / "python3", f'[ "$2" != venv ] || {{ {environment}; }}')


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment of an older lock file."""
    path = tmp_path / "project" / ".venv"
    program(path / "bin" / "python", "exit 0")
    (path / "requirements.lock").write_text("an older one")
    return path


@pytest.mark.parametrize(
    ("pip", "uv", "code", "why"),
    [
        (
            PIP_WITHOUT_NETWORK,
            "",
            1,
            "pip can't get uv: Could not find a version: No matching distribution found for uv",
        ),
        ("", UV_WITHOUT_NETWORK, 1, "Request failed: Temporary failure in name resolution"),
        (PIP_THAT_IS_ENDED, "", 143, None),
    ],
    ids=["no PyPI for pip", "no PyPI for uv", "ended"],
)
@pytest.mark.parametrize("before", [True, False], ids=["an older environment", "none"])
def test_an_environment_that_cannot_be_made_changes_nothing(
    run: Run,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    before: bool,
    pip: str,
    uv: str,
    code: int,
    why: str | None,
) -> None:
    use_python(tmp_path, pip=pip, uv=uv)
    if before:
        request.getfixturevalue("environment")
    done = run("install-python")
    assert done.returncode == code
    found = sorted(path.name for path in (tmp_path / "project").glob(".venv*"))
    assert found == ([".venv"] if before else [])
    if before:
        assert (tmp_path / "project" / ".venv" / "requirements.lock").read_text() == "an older one"
    if why is not None:
        (line,) = done.stderr.splitlines()
        assert why in line
        assert "see that PyPI can be reached" in line


def test_an_environment_is_made_once_for_each_lock_file(run: Run, tmp_path: Path, environment: Path) -> None:
    use_python(tmp_path, uv=UV_THAT_WORKS)
    lock = tmp_path / "project" / "requirements.lock"
    for _ in range(2):
        done = run("install-python")
        assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)
        assert (environment / "requirements.lock").read_bytes() == lock.read_bytes()
        assert [path.name for path in (tmp_path / "project").glob(".venv*")] == [".venv"]
        assert run("install-python").stdout == ""
        lock.write_text(lock.read_text().replace("rich==1", "rich==2"))


def test_an_environment_whose_python_is_gone_is_made_anew(run: Run, tmp_path: Path, environment: Path) -> None:
    use_python(tmp_path, uv=UV_THAT_WORKS)
    shutil.copy(tmp_path / "project" / "requirements.lock", environment)
    assert run("install-python").stdout == ""
    (environment / "bin" / "python").unlink()
    (environment / "bin" / "python").symlink_to("/usr/bin/python3.0")
    assert run("install-python").returncode == 0
    assert not (environment / "bin" / "python").is_symlink()


@pytest.mark.parametrize("update_fails", [False, True])
@pytest.mark.parametrize("install_fails", [False, True])
def test_what_apt_says_is_one_line(run: Run, tmp_path: Path, update_fails: bool, install_fails: bool) -> None:
    """A source that can't be reached matters only where the packages can't be had."""
    tools = tmp_path / "tools"
    program(tools / "dpkg-query", 'case "$*" in *strace) echo not-installed ;; *) printf installed ;; esac')
    program(tools / "id", "echo 0")
    words = {"update": "W: stale\nE: no such host", "install": "Reading lists\nE: no strace\nE: broken"}
    failing = {"update": update_fails, "install": install_fails}
    answers = [f"*' {name} '*) printf '{words[name]}\\n'; exit 100 ;;" for name, fails in failing.items() if fails]
    program(tools / "apt-get", f'echo "$*" >>{tmp_path}/asked\ncase " $* " in {" ".join(answers)} *) ;; esac')
    done = run("install-packages", "tests")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [" update" in line for line in asked] == [True, False]
    assert asked[1].split()[-3:] == ["install", "--no-install-recommends", "strace"]
    assert done.returncode == int(install_fails)
    lines = done.stderr.splitlines()
    assert len(lines) == int(install_fails)
    if install_fails:
        assert "E: no strace" in lines[0]
        assert ("W: stale" in lines[0]) == update_fails
        assert "apt-get update && apt-get install strace" in lines[0]


def test_a_rehearsal_needs_no_browser(run: Run, tmp_path: Path) -> None:
    program(tmp_path / "tools" / "dpkg-query", 'case "$*" in *chromium) ;; *) printf installed ;; esac')
    program(tmp_path / "tools" / "apt-get", "exit 100")
    assert run("install-packages").returncode == 0
    assert run("install-packages", "tests").returncode == 1
    (line,) = run("install-packages", "test").stderr.splitlines()
    assert "not: test" in line


@pytest.mark.parametrize(
    ("path", "first_line"),
    [
        ("workloads/scripts/sent.sh", "# Sent to a host."),
        ("lab/overlay/sbin/program", "#!/bin/sh"),
        ("lab/bin/program", "#!/bin/bash -e"),
        (".ci/run", "#!/bin/sh"),
    ],
)
def test_a_fault_in_any_shell_script_is_found(run: Run, tmp_path: Path, path: str, first_line: str) -> None:
    project = tmp_path / "project"
    (project / ".ci").mkdir()
    (project / ".venv").symlink_to(SCRIPTS.parent / ".venv")
    (project / "workloads" / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPTS.parent / "workloads" / ".shellcheckrc", project / "workloads")
    (project / "notes").write_text("rm $1\n")  # no shell script
    assert run("lint-shell").returncode == 0
    faulty = project / path
    faulty.parent.mkdir(parents=True, exist_ok=True)
    faulty.write_text(f"{first_line}\nrm $1\n")
    done = run("lint-shell")
    assert done.returncode != 0
    assert f"In ./{path} line 2:" in done.stdout.replace(" .ci", " ./.ci")
    assert "SC2086" in done.stdout
