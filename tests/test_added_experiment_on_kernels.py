"""A seventh experiment is a folder or a file in each room: it is declared, rehearsed, reported and judged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import toy_dice
from tests.conftest import free_port, require_region
from workloads.paths import PROJECT

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(600)]

ROOMS = (
    "aws_offers",
    "claims",
    "components",
    "documents",
    "inventory",
    "lab",
    "reaper",
    "report",
    "stacks",
    "workloads",
)
COMPONENT = """
import pulumi

from components.config import CommonConfig
from components.experiment import Experiment, ExperimentComponent, HostEntry
from components.host import Host
from components.limits import HostLimits, read_limits
from components.settings import Settings
from components.stack_validation import HostRequirement, Requirements, ValidatedStack, validate_stack


def check(settings: Settings, common: CommonConfig) -> ValidatedStack[str]:
    host_type = settings.text_or("tidemark:hostType", "t3.micro")
    limits = read_limits(settings, with_cpus=False)
    required = Requirements(hosts=[HostRequirement("tidemark:hostType", host_type)], limits=limits)
    return validate_stack(settings, common, host_type, required)


class ToyDice(ExperimentComponent[str]):
    def __init__(self, name: str, stack: ValidatedStack[str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tidemark:experiments:ToyDice", name, stack, opts)
        host = Host("table", self.host_args(stack.config), self.children)
        self.export([HostEntry("table", "host", stack.config, host, self.network.zone)], {})


EXPERIMENT = Experiment("toy-dice", check, ToyDice)
"""
TASKS = """
from pathlib import Path

from workloads.experiment import Experiment, Stage

SCRIPTS = Path(__file__).parent / "scripts"


def throw(context, plan):
    from workloads.scripts import find_script

    facts = context.hosts.connector("table").run(find_script("throw", SCRIPTS), ["2"]).facts
    for fact in facts:
        if "face" in fact:
            context.results.append("throws", fact)


EXPERIMENT = Experiment(
    name="toy-dice",
    scripts=SCRIPTS,
    stages=(Stage("run", "Throw the dice.", throw, "new", takes_plan=False),),
    all_help="Throw, collect, and report.",
)
"""
SCRIPT = """# Throws dice. Arguments: NUMBER
for ((number = 0; number < $1; number++)); do
    json '{"face": %s}' "$((1 + RANDOM % 6))"
done
finish
# end of script
"""
LOGS = """# What the host shows of itself.
echo "@@ kernel"
uname -r
echo "@@ end"
# end of script
"""
FILES = {
    "components/experiments/toy_dice.py": COMPONENT,
    "workloads/toy_dice/__init__.py": "",
    "workloads/toy_dice/experiment.py": TASKS,
    "workloads/toy_dice/scripts/throw.sh": SCRIPT,
    "workloads/toy_dice/scripts/host_logs.sh": LOGS,
    "report/toy_dice/__init__.py": "",
    "report/toy_dice/schema.py": toy_dice.SCHEMA,
    "report/toy_dice/experiment.py": toy_dice.PAGE,
    "claims/toy-dice.yaml": toy_dice.CLAIMS,
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the project with the seventh experiment in it."""
    for room in ROOMS:
        shutil.copytree(PROJECT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__main__.py", "fabfile.py", "Pulumi.yaml"):
        shutil.copy(PROJECT / name, tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    stack = (PROJECT / "stacks" / "Pulumi.eip-region.lab.yaml").read_text().replace("eip-region", "toy-dice")
    lines = [line for line in stack.splitlines() if "tidemark:hosts:" not in line and "elasticIp" not in line]
    (tmp_path / "stacks" / "Pulumi.toy-dice.lab.yaml").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_seventh_experiment_is_rehearsed_as_the_six_are(tree: Path) -> None:
    require_region()
    environment = {**os.environ, "TIDEMARK_LAB_DIR": str(tree / ".lab"), "TIDEMARK_LAB_PORT": str(free_port())}

    def python(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *words]
        return subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, timeout=400, check=False
        )

    refused = python("lab", "rehearse", "toy-cards")
    assert "toy-dice" in refused.stderr, "it is among those that there are"
    done = python("lab", "rehearse", "toy-dice", "--verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Throws of the dice (rehearsal)" in done.stdout
    (run,) = (tree / "results" / "toy-dice" / "toy-dice.lab").iterdir()
    assert len((run / "raw" / "throws.ndjson").read_text().splitlines()) == 2
    assert "Is it a die?" in (run / "report.html").read_text()
    assert (run / "logs").is_dir()
    assert "\ntoy-dice\n" in python("fabric", "claims").stdout
    assert "toy-dice.run" in python("fabric", "--list").stdout
