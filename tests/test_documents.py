"""README and docs/: the paths, links, commands and stacks that they name exist, and the short ones stay short."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest
from invoke.parser.context import ParserContext
from invoke.parser.parser import Parser

from docs.generate import REFERENCE, arguments_of, pages
from fabfile import namespace
from lab import service_model
from report.overview import COLUMNS
from schemas.write import SCHEMAS
from tests.document_outputs import outputs_of, shape
from tests.workloads.fabric_task import fab
from workloads.experiment import find_experiments

PROJECT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]
# Made by a run: no part of the checkout.
MADE = ("results/", ".lab/", ".tidemark/", ".venv/")
TASKS = set(namespace.task_names)

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))


def code_of(document: Path) -> list[str]:
    """Returns what is set as code: the words between backticks, and the lines of code blocks."""
    text = document.read_text()
    return re.findall(r"`([^`\n]+)`", text) + [line.strip() for line in text.splitlines() if line.startswith("    ")]


def anchors(document: Path) -> list[str]:
    """Returns the headings' anchors as GitHub makes them."""
    headings = re.findall(r"^##+ (.*)$", document.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@each_document
def test_every_path_exists(document: Path) -> None:
    folders = {path.name for path in PROJECT.iterdir() if path.is_dir()}
    words = {word for code in code_of(document) for word in code.split()}
    paths = {word for word in words if "/" in word and word.split("/")[0] in folders and not word.startswith(MADE)}
    missing = [path for path in paths if not any(PROJECT.glob(re.sub(r"<[^>]*>", "*", path.rstrip("/,."))))]
    assert not missing


@each_document
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_document
def test_every_command_exists(document: Path) -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    for code in code_of(document):
        for target in re.findall(r"\bmake ([a-z-]+)", code):
            assert target in targets, code
        for name, rest in re.findall(r"\bfab ([a-z][a-z0-9.-]*[a-z])(?![a-z0-9.])([^#]*)", code):
            assert name in TASKS, code
            known = {flag for argument in arguments_of(name) for flag in argument.names}
            for option in re.findall(r"--([a-z-]+)", rest):
                assert {option, option.replace("-", "_")} & known, code


@each_document
def test_every_command_of_fab_is_complete(document: Path) -> None:
    """Fabric's own parser accepts it: no value is missing, and no word is left over."""
    parser = Parser(contexts=[ParserContext(name, args=arguments_of(name)) for name in TASKS])
    for line in document.read_text().splitlines():
        found = re.match(r"    \.venv/bin/fab (?!--)(.*)$", line)
        if found:
            words = itertools.takewhile(lambda word: word not in (">", "||"), shlex.split(found[1], comments=True))
            (task,) = parser.parse_argv(list(words))
            assert not task.missing_positional_args, line


@each_document
def test_every_stack_exists(document: Path) -> None:
    for code in code_of(document):
        for stack in re.findall(r"\b(?:pulumi|fab)\b.* (?:-s|--stack|stack init) ([a-z0-9.-]+)", code):
            assert (PROJECT / "stacks" / f"Pulumi.{stack}.yaml").exists(), code


def test_the_generated_pages_are_current() -> None:
    for name, text in pages().items():
        assert (REFERENCE / name).read_text(encoding="utf-8") == text, f"{name}: run `make docs`"


def test_every_setting_is_described() -> None:
    """By its name in the code, and by no other."""
    text = (REFERENCE / "settings.md").read_text()
    described = {
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\S+?)`", line.split("|")[1])
    }
    read = set()
    for path in [*(PROJECT / "components").rglob("*.py"), *(PROJECT / "lab").glob("*.py")]:
        read |= set(re.findall(r'"tidemark:([A-Za-z]+)"', path.read_text()))
        read |= set(re.findall(r'"(rehearsal:[A-Za-z]+)"', path.read_text()))
    assert described == read | {"aws:region"}


@each_document
def test_every_setting_exists(document: Path) -> None:
    text = (REFERENCE / "settings.md").read_text()
    for name in re.findall(r"\btidemark:([a-z][A-Za-z]+)", " ".join(code_of(document))):
        assert f"`{name}`" in text, name


@each_document
def test_every_variable_of_make_exists(document: Path) -> None:
    known = set(re.findall(r"^([A-Z]+) \?=", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for code in code_of(document):
        for name in re.findall(r"\bmake .*?\b([A-Z]+)=", code):
            assert name in known, code


@each_document
def test_every_module_that_is_run_exists(document: Path) -> None:
    for code in code_of(document):
        for module in re.findall(r"python3? -m ([a-z_.]+)", code):
            path = PROJECT / module.replace(".", "/")
            ours = path.is_dir() or path.with_suffix(".py").exists()
            assert ours or module == "pytest", code


@pytest.mark.parametrize(("name", "experiment"), [("README.md", "eip-region"), ("docs/tutorial.md", "efs-iops")])
def test_an_output_is_that_of_a_run(name: str, experiment: str) -> None:
    """tests/lab/test_rehearse_on_kernels.py compares what a rehearsal prints today with the recorded one."""
    recorded = (PROJECT / "tests/recorded" / f"rehearse-{experiment}.txt").read_text()
    assert {shape(line) for line in outputs_of(PROJECT / name)} <= {shape(line) for line in recorded.splitlines()}


def test_the_tutorials_plan_and_service_model_are_those_of_its_experiment() -> None:
    shown = outputs_of(PROJECT / "docs/tutorial.md")
    assert next(line for line in shown if line.startswith("plan ")) in fab("efs-iops.plan").stdout.splitlines()
    model = service_model.load("efs-2018")
    assert model is not None
    assert f"service model: efs-2018 ({model.in_words()})" in shown


def test_an_error_that_is_shown_is_the_tasks_own(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.json"
    hosts.write_text(fab("inventory.example", "iscsi-tunnel").stdout)
    failed = fab("iscsi-tunnel.attach", "--limit", "often", "--inventory", str(hosts))
    shown = re.search(r"`(--limit often .*)`", (PROJECT / "CONTRIBUTING.md").read_text())
    assert shown is not None
    assert failed.stderr == f"tidemark: {shown[1]}\n"


def test_the_documented_inventory_has_each_field_of_the_schema_and_no_other() -> None:
    text = (PROJECT / "docs/interfaces.md").read_text()
    block = text[text.index('      "$schema"') : text.index("Frozen dataclasses")]
    names = set(re.findall(r'"([a-z_]+)":', re.sub(r"//.*", "", block)))
    schema = json.loads((SCHEMAS / "inventory.schema.json").read_text())
    fields = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    assert names == fields - {"$schema"}


def test_the_documented_options_of_the_worker_are_its_own() -> None:
    text = (PROJECT / "docs/interfaces.md").read_text()
    block = text[text.index("    tidemark-worker --file") : text.index("Each file gets N threads")]
    source = (PROJECT / "workloads/native/arguments.c").read_text()
    assert set(re.findall(r"--([a-z-]+)", block)) == set(re.findall(r'\{"--([a-z-]+)", ', source)) - {"help", "version"}


@pytest.mark.parametrize("name", [each.name for each in find_experiments()])
def test_the_readme_names_as_many_claims_of_each_verdict_as_its_table_counts(name: str) -> None:
    text = (PROJECT / "README.md").read_text()
    found = re.search(rf"^\| {name} \| [^|]* \| (.*) \|$", text, re.MULTILINE)
    counts = re.search(rf"^    \|{name} .*? done .*?\| +(\d+) \| +(\d+) \| +(\d+) \| +\d+ \|$", text, re.MULTILINE)
    assert found is not None
    assert counts is not None
    named = dict.fromkeys(("**hold", "**differs**", "need AWS"), 0)
    for part in found[1].split("; "):
        (verdict,) = [each for each in named if each in part]
        more = re.search(r"(\d+) more", part)
        claims = re.findall(r"(?<!\*)\*([a-z-]+)\*(?!\*)", part)
        assert all(f"- id: {name}/{claim}\n" in (PROJECT / f"claims/{name}.yaml").read_text() for claim in claims)
        named[verdict] = int(more[1]) if more else len(claims)
    assert tuple(named.values()) == tuple(map(int, counts.groups()))


def test_the_table_of_the_readme_is_that_of_a_rehearsal_of_all() -> None:
    """But for the last column, which is the page of each."""
    rows = [line for line in (PROJECT / "README.md").read_text().splitlines() if line.startswith("    |")]
    table = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    assert table[0] == [column.name for column in COLUMNS[:-1]]
    assert {row[0] for row in table[1:]} == {each.name for each in find_experiments()}
    for name, _, _, *counted in table[1:]:
        ledger = (PROJECT / "claims" / f"{name}.yaml").read_text()
        assert sum(map(int, counted)) == ledger.count("- id: "), name


def test_every_page_is_in_the_index() -> None:
    index = (PROJECT / "docs/README.md").read_text()
    for document in DOCUMENTS:
        if document.parent != PROJECT and document.name != "README.md":
            assert f"({document.relative_to(PROJECT / 'docs')})" in index, document


def test_the_design_lists_every_reason() -> None:
    """Each heading of docs/explanation/, but those of the page on what a rehearsal proves, which is read as a whole."""
    listed = re.findall(
        r"^ *- \[.*\]\((explanation/.*?\.md)(?:#(.*?))?\)", (PROJECT / "docs/design.md").read_text(), re.MULTILINE
    )
    pages = {path for path in (PROJECT / "docs/explanation").glob("*.md") if path.name != "what-a-rehearsal-proves.md"}
    assert {PROJECT / "docs" / page for page, anchor in listed if not anchor} == pages
    for page in pages:
        assert [anchor for name, anchor in listed if PROJECT / "docs" / name == page and anchor] == anchors(page)


@pytest.mark.parametrize("name", ["where.md", "glossary.md"])
def test_a_short_table_stays_short(name: str) -> None:
    rows = [line for line in (PROJECT / "docs" / name).read_text().splitlines() if line.startswith("| ")]
    assert len(rows) - 2 <= 15, "a map of fifteen rows is read; a longer one is searched"


def test_the_readme_stays_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 120
