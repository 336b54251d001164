"""The first-boot script: rendered, parsed, and run on a directory that stands for a machine."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from components.host import FIRST_BOOT_SCRIPT, first_boot_script

# EC2 takes 16 KiB of user data (EC2 User Guide, "Run commands when you launch an EC2 instance").
USER_DATA_LIMIT = 16 * 1024

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample"


class Machine:
    """A directory with what the script reads and writes, and commands that only note that they were
    called.
    """

    def __init__(self, root: Path, memory_mib: int = 61440) -> None:
        self.root = root
        for folder in ("etc/ssh", "etc/systemd/system", "proc", "dev", "var/lib", "usr", "bin"):
            (root / folder).mkdir(parents=True)
        (root / "etc/ssh/ssh_host_ed25519_key.pub").write_text(f"{KEY} root@machine\n")
        (root / "etc/ssh/ssh_host_ed25519_key").write_text("PRIVATE\n")
        self.have_memory(memory_mib)
        (root / "dev/console").touch()
        for command in ("systemctl", "ssh-keygen", "update-grub"):
            path = root / "bin" / command
            path.write_text(f'#!/bin/sh\necho "{command} $*" >>{root}/calls\n')
            path.chmod(0o755)

    def have_memory(self, mib: int) -> None:
        """As a kernel says it: less than was asked for, since it keeps some for itself."""
        (self.root / "proc/meminfo").write_text(f"MemTotal: {mib * 1024 - 40000:>14} kB\nMemFree:  12 kB\n")

    def boot(self, script: str) -> subprocess.CompletedProcess[str]:
        (self.root / "calls").write_text("")
        moved = re.sub(r"(?<![\w.])/(etc|usr|var|dev|proc)/(?!null)", rf"{self.root}/\1/", script)
        # The console gathers; a plain file would be emptied by each writer.
        moved = moved.replace(f">{self.root}/dev/console", f">>{self.root}/dev/console")
        return subprocess.run(
            ["bash", "-c", moved],
            env={"PATH": f"{self.root}/bin:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()

    def text(self, path: str) -> str:
        return (self.root / path).read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def script(lifetime_hours: int = 4, memory_limit_mib: int | None = 2048) -> str:
    return first_boot_script(lifetime_hours=lifetime_hours, memory_limit_mib=memory_limit_mib)


@pytest.mark.parametrize("text", [FIRST_BOOT_SCRIPT.read_text(), script(), script(168, None)])
def test_is_valid_shell(text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_rendering() -> None:
    text = script(7, 512)
    assert text.startswith("#!/bin/bash\n")
    assert "lifetime_hours='7'" in text
    assert "memory_limit_mib='512'" in text
    assert not re.search(r"@[A-Z_]+@", text)
    assert len(text.encode()) < USER_DATA_LIMIT
    assert "memory_limit_mib=''" in script(memory_limit_mib=None)


def test_habits() -> None:
    text = FIRST_BOOT_SCRIPT.read_text()
    assert "\nset -eu\n" in text
    assert "\t" not in text
    assert "`" not in text
    assert max(map(len, text.splitlines())) <= 120
    for word in ("password", "secret", "token", "AKIA"):
        assert word not in text.lower()


def test_host_keys_go_to_the_console(machine: Machine) -> None:
    assert machine.boot(script()).returncode == 0
    console = machine.text("dev/console")
    assert f"\ntidemark-host-key: {KEY}\n" in console
    assert "PRIVATE" not in console
    assert "root@machine" not in console
    assert "systemctl --quiet --no-reload enable tidemark-host-keys.service" in machine.calls()
    assert "ssh-keygen -A" not in machine.calls()


def test_a_host_without_a_key_gets_one(machine: Machine) -> None:
    for key in (machine.root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    assert machine.boot(script()).returncode == 0
    assert "ssh-keygen -A" in machine.calls()


def test_expiry_is_set_and_powers_off(machine: Machine) -> None:
    assert machine.boot(script()).returncode == 0
    timer = machine.text("etc/systemd/system/tidemark-expiry.timer")
    assert re.search(r"^OnCalendar=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$", timer, re.M)
    assert "Persistent=true" in timer
    assert "poweroff" in machine.text("etc/systemd/system/tidemark-expiry.service")
    assert "systemctl --quiet --no-reload enable tidemark-expiry.timer" in machine.calls()
    assert "systemctl --quiet --no-block start tidemark-expiry.timer" in machine.calls()


def test_time_comes_from_amazon_s_own_service(machine: Machine) -> None:
    """The group's rules let no NTP out, and this address needs none."""
    (machine.root / "bin/systemctl").write_text(
        f'#!/bin/sh\necho "systemctl $*" >>{machine.root}/calls\ncase "$*" in *try-restart*) exit 5 ;; esac\n'
    )
    assert machine.boot(script()).returncode == 0, "an image has one of the two programs"
    assert machine.text("etc/systemd/timesyncd.conf.d/90-tidemark.conf") == "[Time]\nNTP=169.254.169.123\n"
    assert machine.text("etc/chrony/sources.d/tidemark.sources").startswith("server 169.254.169.123 prefer iburst")
    restart = "systemctl --quiet --no-block try-restart systemd-timesyncd.service chrony.service"
    assert restart in machine.calls()


def test_second_run_does_not_prolong(machine: Machine) -> None:
    machine.boot(script(lifetime_hours=1))
    first = machine.text("etc/systemd/system/tidemark-expiry.timer")
    machine.boot(script(lifetime_hours=100))
    assert machine.text("etc/systemd/system/tidemark-expiry.timer") == first
    assert "systemctl --quiet --no-block start tidemark-expiry.timer" in machine.calls()


def test_interrupted_timer_is_written_again(machine: Machine) -> None:
    (machine.root / "etc/systemd/system/tidemark-expiry.timer.new").write_text("[Ti")
    machine.boot(script())
    assert "OnCalendar=" in machine.text("etc/systemd/system/tidemark-expiry.timer")


def test_memory_limit_takes_one_reboot(machine: Machine) -> None:
    assert machine.boot(script()).returncode == 0
    assert machine.calls()[-2:] == ["update-grub ", "systemctl --no-block reboot"]
    setting = machine.text("etc/default/grub.d/90-tidemark-memory.cfg")
    assert setting == 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX mem=2048M"\n'

    machine.have_memory(2048)
    assert machine.boot(script()).returncode == 0
    assert "systemctl --no-block reboot" not in machine.calls()


def test_memory_limit_that_did_not_take_is_told_and_not_tried_for_ever(machine: Machine) -> None:
    machine.boot(script())
    again = machine.boot(script())
    assert again.returncode == 1
    assert "still has 61400 MiB; see " in machine.text("dev/console")
    assert "systemctl --no-block reboot" not in machine.calls()


@pytest.mark.parametrize(("memory_mib", "memory_limit_mib"), [(2048, 2048), (1024, 2048), (61440, None)])
def test_no_reboot_when_limited_already_or_not_at_all(
    tmp_path: Path, memory_mib: int, memory_limit_mib: int | None
) -> None:
    """User Mode Linux 7.2 obeys mem= and does not show it in /proc/cmdline."""
    machine = Machine(tmp_path, memory_mib)
    assert machine.boot(script(memory_limit_mib=memory_limit_mib)).returncode == 0
    assert not any("reboot" in call for call in machine.calls())
    assert not (tmp_path / "etc/default").exists()
