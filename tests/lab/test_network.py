"""Interfaces and routes, made for real in a network namespace that ends with the test."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lab.paths import PROJECT
from lab.preflight import NAMESPACES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: network namespaces can't be made")

PROGRAM = """
import socket
import subprocess
from lab import vpc
from lab.errors import LabError
from lab.process import run

FIRST = vpc.Port("i-0aaaaaaaaaaaaaaa1", "10.20.1.10", "10.20.1.1", None, ())
TARGET = vpc.Port("fsmt-00000000000001", "10.20.1.30", "10.20.1.1", None, ())
network = vpc.Network()

def interfaces():
    return sorted(line.split(": ")[1].split("@")[0] for line in run(["ip", "-o", "link"]).splitlines())
"""


def in_a_namespace(script: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["unshare", *NAMESPACES, sys.executable, "-c", PROGRAM + script],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return done


def test_a_host_is_plugged_in_and_out() -> None:
    done = in_a_namespace(
        """
vpc.prepare_namespace()
network.plug(FIRST)
print(interfaces())
print(run(["ip", "route", "get", FIRST.address]).split(" uid")[0].strip())
network.unplug(FIRST)
network.unplug(FIRST)
print(interfaces())
"""
    )
    assert done.stdout.splitlines() == [
        "['eni-aaaaaaaaaa1', 'lo', 'uml-aaaaaaaaaa1']",
        "10.20.1.10 dev eni-aaaaaaaaaa1 src 10.20.1.1",
        "['lo']",
    ]


def test_an_interface_that_cannot_be_made_whole_is_taken_away_again_and_the_fault_names_the_command() -> None:
    done = in_a_namespace(
        """
right = vpc._connect
def fail(port):
    right(port)
    vpc.ip("link set lo up", "route add 10.9.9.9/32 dev no-such")
vpc.prepare_namespace()
vpc._connect = fail
try:
    network.plug(FIRST)
except LabError as fault:
    print(fault)
print(interfaces())
vpc._connect = right
network.plug(FIRST)
"""
    )
    assert done.stdout.splitlines() == [
        'ip route add 10.9.9.9/32 dev no-such: Cannot find device "no-such"',
        "['lo']",
    ]


def test_mount_targets_and_the_internet_are_reached_in_their_namespaces() -> None:
    done = in_a_namespace(
        """
def namespace():
    process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process.pid

vpc.prepare_namespace()
vpc.connect_internet(namespace())
pid = namespace()
vpc.plug_namespace(TARGET, pid, 1)
for address in (vpc.INTERNET_ADDRESS, TARGET.address):
    try:
        socket.create_connection((address, 9), 5)
    except ConnectionRefusedError:
        print(address)
network.limit_uplink(8)
print(run(["tc", "qdisc", "show", "dev", "igw"]).split()[1])
network.limit_uplink(None)
print(run(["tc", "qdisc", "show", "dev", "igw"]).split()[1])
"""
    )
    assert done.stdout.splitlines() == ["198.51.100.1", "10.20.1.30", "tbf", "noqueue"]
