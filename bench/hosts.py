"""One script on many hosts: a task's connections against `xargs -P ssh`, and against pyinfra.

    python -m bench.hosts [--hosts 1,10,50,200] [--rounds 3] [--sshd /usr/sbin/sshd] [--pyinfra PROGRAM]

Hosts are sshd servers on loopback, in a network namespace; each has a /run of its own, where a task's lock is. Every
contestant connects to all of them, runs the same script of a task, and ends:

- tidemark: `ConnectionPool.run`, in a fresh process; its time is from the first connection to the last answer;
- xargs: as many ssh at once as the pool has connections under way, each with the script on standard input, and with the
  same key exchange;
- pyinfra: the same command line by its `exec`, in a fresh process, as long as the process lasts. It is no dependency:
  name the program of an installation elsewhere.

The contestants take turns. Printed: each one's median and range, what the process of tidemark needed in memory, and the
ratio of the medians. The aim: less than 1.5 times xargs, and less than pyinfra. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.measure import ROOT, argument_parser, in_turns, median_and_range
from workloads.connectors.pool import THREADS_MAX, ConnectionPool
from workloads.connectors.script import END_OF_SCRIPT, Script, script_command
from workloads.inventory_example import example

FIRST_PORT = 20000
# What paramiko chooses. ssh's own first choice, sntrup761x25519, takes it another 35 ms of a processor a connection.
KEY_EXCHANGE = "-o KexAlgorithms=curve25519-sha256"
SCRIPT = Script("look", f"uname -r > /dev/null\nprintf '{{\"changed\": 0}}\\n'\n{END_OF_SCRIPT}\n")
# Each server is a daemon of its own; their start is not measured.
SERVER = """mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec {sshd} -D -e -f /dev/null -h {key} -p {port} \
-o ListenAddress=127.0.0.1 -o AuthorizedKeysFile={authorized} -o StrictModes=no -o UsePAM=no -o PidFile=none \
-o PermitRootLogin=yes -o MaxStartups=1000 -o LogLevel=QUIET"""
IN_NAMESPACE = "TIDEMARK_BENCH_IN_NAMESPACE"


def port_of(number: int) -> int:
    return FIRST_PORT + number


@contextlib.contextmanager
def servers(folder: Path, count: int, sshd: str) -> Iterator[None]:
    """Starts so many servers, which have one host key, and waits until they listen."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    known = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text("".join(f"[127.0.0.1]:{port_of(each)} {known}" for each in range(count)))
    (folder / "script").write_text(SCRIPT.text)
    started = []
    try:
        for each in range(count):
            words = {"sshd": sshd, "key": folder / "host", "port": port_of(each), "authorized": folder / "authorized"}
            command = SERVER.format(**{name: shlex.quote(str(word)) for name, word in words.items()})
            started.append(subprocess.Popen(["unshare", "--mount", "--", "sh", "-c", command]))
        for each in range(count):
            _wait_for(port_of(each))
        yield
    finally:
        for server in started:
            server.terminate()
        for server in started:
            server.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                sys.exit(f"sshd does not listen at port {port}")
            time.sleep(0.05)


def by_tidemark(folder: Path, count: int) -> dict[str, float]:
    """Runs the script on every server; the seconds that it took, and what the process needed."""
    found = example("efs-iops", {f"host-{each}": "client" for each in range(count)})
    hosts = tuple(
        replace(host, address="127.0.0.1", port=port_of(each)) for each, host in enumerate(found.hosts[:count])
    )
    inventory = replace(found, hosts=hosts, ssh=replace(found.ssh, user="root", identity_file=str(folder / "user")))
    key = " ".join((folder / "host.pub").read_text().split()[:2])
    began, used = time.monotonic(), time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ConnectionPool(inventory, {host.name: [key] for host in hosts}) as pool:
        results = pool.run(SCRIPT, {host.name: [] for host in hosts})
        seconds = time.monotonic() - began
    if len(results) != count or any(result.facts != ({"changed": 0},) for result in results.values()):
        sys.exit("tidemark: a host gave another answer")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "cpu_s": time.process_time() - used, "mib": after / 1024, "more_kib": after - before}


def _tidemark(folder: Path, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.hosts", "--one", str(folder), "--hosts", str(count)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def _xargs(folder: Path, count: int) -> dict[str, float]:
    command = script_command(SCRIPT.name, [], "root")
    options = f"-F none -i {folder}/user -o UserKnownHostsFile={folder}/known_hosts -o BatchMode=yes {KEY_EXCHANGE}"
    one = f"ssh {options} -p {{}} root@127.0.0.1 {shlex.quote(command)} < {folder}/script"
    (folder / "one").write_text(f"set -e\n{one.replace('{}', '$1')}\n")
    ports = "".join(f"{port_of(each)}\n" for each in range(count))
    began = time.monotonic()
    ran = subprocess.run(
        ["xargs", "-P", str(THREADS_MAX), "-I{}", "sh", str(folder / "one"), "{}"],
        input=ports,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - began
    if ran.stdout.count('{"changed": 0}') != count:
        sys.exit(f"xargs: {ran.stdout.count('changed')} of {count} hosts answered")
    return {"seconds": seconds}


def _pyinfra(program: str, folder: Path, count: int) -> dict[str, float]:
    data = {"ssh_user": "root", "ssh_key": str(folder / "user"), "ssh_known_hosts_file": str(folder / "known_hosts")}
    hosts = [(f"host-{each}", {"ssh_hostname": "127.0.0.1", "ssh_port": port_of(each)}) for each in range(count)]
    (folder / "hosts.py").write_text(f"all_hosts = ({hosts!r}, {data!r})\n")
    again = f"{script_command(SCRIPT.name, [], 'root')} < {folder}/script"  # the servers see this machine's files
    command = [program, "-y", "-v", "--parallel", str(THREADS_MAX), str(folder / "hosts.py"), "exec", "--", again]
    began = time.monotonic()
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode or (ran.stdout + ran.stderr).count('"changed": 0') < count:
        sys.exit(f"pyinfra: {ran.stdout[-1000:]}{ran.stderr[-1000:]}")
    return {"seconds": time.monotonic() - began}


def compare(folder: Path, counts: list[int], rounds: int, pyinfra: str | None) -> None:
    for count in counts:
        contestants = {"tidemark": partial(_tidemark, folder, count), "xargs": partial(_xargs, folder, count)}
        if pyinfra is not None:
            contestants["pyinfra"] = partial(_pyinfra, pyinfra, folder, count)
        found = dict(zip(contestants, in_turns(list(contestants.values()), rounds), strict=True))
        seconds = {name: [each["seconds"] for each in runs] for name, runs in found.items()}
        for name in contestants:
            words = f"{count:4} hosts  {name:9} {median_and_range(seconds[name], '.2f', ' s')}"
            if name == "tidemark":
                last = found[name][-1]
                words += (
                    f"  {last['cpu_s']:.2f} s CPU, {last['mib']:.0f} MiB, {last['more_kib'] / count:.0f} KiB a host"
                )
            else:
                ratio = statistics.median(seconds["tidemark"]) / statistics.median(seconds[name])
                words += f"  tidemark takes {ratio:.2f} of it"
            print(words, flush=True)


def main() -> None:
    parser = argument_parser(__doc__, rounds=3)
    parser.add_argument("--hosts", default="1,10,50,200")
    parser.add_argument("--sshd", default="/usr/sbin/sshd")
    parser.add_argument("--pyinfra", help="the program of an installation elsewhere")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    counts = [int(each) for each in options.hosts.split(",")]
    if options.one:
        print(json.dumps(by_tidemark(options.one, counts[0])))
        return
    if shutil.which(options.sshd) is None:
        sys.exit(f"there is no {options.sshd}: install openssh-server, or name another with --sshd")
    if IN_NAMESPACE not in os.environ:
        # sshd wants a user of its name (sshd(8), privilege separation), which a machine without a server lacks. And
        # root's shell is sh, because bash reads ~/.bashrc when sshd starts it (bash(1), INVOCATION): one that starts
        # pyenv takes 0.3 s of a processor, more than all else that is measured here.
        prepare = (
            "ip link set lo up; { sed 's#^\\(root:.*:\\)[^:]*$#\\1/bin/sh#; /^sshd:/d' /etc/passwd; "
            "echo sshd:x:64999:65534::/run/sshd:/usr/sbin/nologin; } > /tmp/.bench-passwd; "
            "mount --bind /tmp/.bench-passwd /etc/passwd; rm /tmp/.bench-passwd"
        )
        again = shlex.join([sys.executable, "-m", "bench.hosts", *sys.argv[1:]])
        environment = {**os.environ, IN_NAMESPACE: "yes"}
        command = ["unshare", "--mount", "--net", "--", "sh", "-c", f"{prepare}; exec {again}"]
        sys.exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as name:
        folder = Path(name)
        with servers(folder, max(counts), options.sshd):
            compare(folder, counts, options.rounds, options.pyinfra)


if __name__ == "__main__":
    main()
