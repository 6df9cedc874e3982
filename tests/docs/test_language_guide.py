"""Every example of the language guide does what the guide says."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.examples import GUIDE, Block, Case, blocks, data_of, pages, tables
from tests.expressions.fake_scope import FakeScope

from tramontane.actions.pack import standard_registry
from tramontane.cli.documents import guess_kind
from tramontane.errors import DefinitionError, TramontaneError
from tramontane.expressions import Budget, evaluate
from tramontane.expressions.functions import registry
from tramontane.expressions.reads import function_names
from tramontane.expressions.yaql_engine import is_function
from tramontane.lang import CheckOptions, parse_actions, parse_workbook, parse_workflows
from tramontane.lang.action_check import ACTION_ATTRIBUTES
from tramontane.lang.document import Upload
from tramontane.lang.task_check import TASK_ATTRIBUTES
from tramontane.lang.workflow_check import WORKFLOW_ATTRIBUTES
from tramontane.rehearsal import FakeAction, Outcome, Run, World, cancels, fails, gives, waits
from tramontane.rehearsal.script import Scripted
from tramontane.rehearsal.world import SECOND, START
from tramontane.values import encode

PAGES = {path.stem: path for path in pages()}
BLOCKS = [block for path in PAGES.values() for block in blocks(path)]
RUNNABLE = [block for block in BLOCKS if "part" not in block.about and block.about.get("name") != "data"]
PARTS = [block for block in BLOCKS if "part" in block.about]
REGISTRY = standard_registry(plugins=[])
PARSERS = {"workflows": parse_workflows, "workbook": parse_workbook, "actions": parse_actions}


def parse(text: str) -> Upload:
    return PARSERS[guess_kind(text)](text, CheckOptions())


def related(block: Block) -> list[str]:
    """The texts of the blocks that this one needs, then its own."""
    names = block.about.get("also", [])
    wanted = [names] if isinstance(names, str) else names
    named = {
        each.about["name"]: each.text for each in BLOCKS if each.page == block.page and "name" in each.about
    }
    return [*(named[name] for name in wanted), block.text]


def outcome(found: Any) -> Outcome:
    if isinstance(found, Mapping) and set(found) & {"gives", "fails", "cancels", "waits"}:
        after = found.get("after", 0)
        if "waits" in found:
            return waits()
        if "fails" in found:
            return fails(found["fails"], after)
        return cancels(found["cancels"], after) if "cancels" in found else gives(found["gives"], after)
    return gives(found)


def scripted(found: Any) -> Scripted:
    is_series = isinstance(found, list) and all(isinstance(one, Mapping) for one in found)
    return [outcome(one) for one in found] if is_series else outcome(found)


def world_of(block: Block, case: Case) -> World:
    pretend = case.given.get("pretend", {})
    script = {name: scripted(value) for name, value in case.given.get("script", {}).items()}
    script |= {f"action:{name}": scripted(value) for name, value in pretend.items()}
    world = World(
        script=script,
        registry=REGISTRY,
        fakes=[FakeAction(name) for name in pretend],
        environments=case.given.get("environments"),
        settles=not case.given.get("script"),
    )
    for text in related(block):
        kind = guess_kind(text)
        if kind == "workbook":
            world.library.add_workbook(text)
        elif kind == "actions":
            world.library.add_actions(text)
        else:
            world.library.add_workflows(text)
    return world


def name_of(block: Block, case: Case) -> str:
    if "start" in case.given:
        return str(case.given["start"])
    upload = parse(block.text)
    [workflow] = (upload.workbook or upload).workflows
    return workflow.name


def act(run: Run, step: Any) -> None:
    """Do what an operator does."""
    if isinstance(step, str):
        {"pause": run.pause, "resume": run.resume}[step]()
        return
    [(what, value), *more] = step.items()
    options = dict(more)
    if what == "rerun":
        run.rerun(value, reset=options.get("reset", True), env=options.get("env"))
    elif what == "skip":
        run.skip(value)
    elif what == "stop":
        run.stop(value, options.get("message"))
    elif what == "resume":
        run.resume(env=value["env"])
    else:
        assert what == "report", step
        for task, data in value.items():
            run.report(task, data)


def check(world: World, run: Run, expected: Mapping[str, Any]) -> None:
    assert run.state == expected.get("state", "SUCCESS"), run.info
    if "output" in expected:
        assert plain(run.output) == expected["output"]
    assert expected.get("info", "") in (run.info or "")
    tasks = expected.get("tasks", {})
    if isinstance(tasks, list):
        assert run.names() == tasks
    else:
        states = run.states()
        assert {name: states.get(name) for name in tasks} == tasks
    for name, variables in expected.get("published", {}).items():
        assert plain(run.task(name).published) == variables
    for name, value in expected.get("result", {}).items():
        assert plain(run.result(name)) == value
    for name, count in expected.get("runs", {}).items():
        assert len(run.tasks(name)) == count
    if "took" in expected:
        assert (world.now - START) / SECOND == expected["took"]


def plain(value: Any) -> Any:
    return yaml.safe_load(encode(value))


@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: block.id)
def test_an_example_does_what_its_head_says(block: Block) -> None:
    for case in block.cases:
        refused = case.stages[0].expected.get("refused")
        if refused is None:
            found = [str(problem) for problem in parse(block.text).warnings]
            assert len(found) == len(block.about.get("warns", [])), found
            for part in block.about.get("warns", []):
                assert any(part in one for one in found), found
        if not case.given and not case.stages[0].expected:
            continue  # nothing but definitions that another example uses
        if refused is not None:
            with pytest.raises((DefinitionError, TramontaneError)) as caught:
                world_of(block, case).start(
                    name_of(block, case), case.given.get("input"), **case.given.get("params", {})
                )
            assert refused in caught.value.message
            continue
        world = world_of(block, case)
        params = case.given.get("params", {})
        run = world.start(name_of(block, case), case.given.get("input"), env=case.given.get("env"), **params)
        for stage in case.stages:
            for step in stage.then:
                act(run, step)
                world.run()
            world.run()
            check(world, run, stage.expected)


@pytest.mark.parametrize("block", PARTS, ids=lambda block: block.id)
def test_a_part_of_a_task_is_accepted(block: Block) -> None:
    body = textwrap.indent(block.text, "      ")
    others = [*re.findall(r"\bt\d\b", block.text), "t2"]
    rest = "".join(f"    {name}: {{description: x}}\n" for name in dict.fromkeys(others))
    text = f"version: '2.0'\nwf:\n  tasks:\n    t:\n{body}\n{rest}"
    assert parse_workflows(text, CheckOptions(reading=False)).warnings == ()


EXPRESSIONS = [
    (path.stem, cells[0], cells[1])
    for path in PAGES.values()
    for head in ("YAQL", "Jinja")
    for _, cells in tables(path, head, "gives")
]


@pytest.mark.parametrize(("page", "expression", "expected"), EXPRESSIONS, ids=lambda value: value[:40])
def test_an_expression_gives_what_the_table_says(page: str, expression: str, expected: str) -> None:
    scope = FakeScope(data_of(PAGES[page]))
    try:
        found = plain(evaluate(expression, scope, Budget()))
    except TramontaneError:
        assert expected.startswith("error"), (expression, expected)
        return
    assert found == yaml.safe_load(expected), expression


def guide() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in PAGES.values())


def test_there_are_examples_on_every_page() -> None:
    assert len(RUNNABLE) >= 60
    assert {block.page for block in BLOCKS} >= set(PAGES) - {"README", "differences-from-mistral"}


def test_every_attribute_is_in_the_guide() -> None:
    text = guide()
    attributes = {
        *WORKFLOW_ATTRIBUTES,
        *ACTION_ATTRIBUTES,
        *TASK_ATTRIBUTES["direct"],
        *TASK_ATTRIBUTES["reverse"],
    }
    assert {name for name in attributes if f"`{name}`" not in text} == set()


def test_every_function_of_the_engine_is_in_the_guide() -> None:
    text = guide()
    names = (
        "env",
        "execution",
        "executions",
        "task",
        "tasks",
        "global",
        "json_dump",
        "json_pp",
        "json_parse",
    )
    for name in (*names, "yaml_dump", "yaml_parse", "uuid"):
        assert name in function_names()
        assert f"`{name}(" in text, name


def test_yaqls_library_is_listed_as_it_is() -> None:
    text = PAGES["expressions"].read_text(encoding="utf-8")
    table = text.partition("## The library of YAQL")[2].partition("Jinja has its own")[0]
    listed = set(re.findall(r"`([a-zA-Z]+)`", table))
    assert {name for name in listed if not is_function(name)} == set()
    assert function_names() - listed - set(registry.functions) == set()


def test_every_standard_action_is_in_the_guide() -> None:
    text = guide()
    for descriptor in REGISTRY.all():
        assert f"`{descriptor.name}`" in text, descriptor.name


def test_the_first_page_leads_to_all_others() -> None:
    index = (GUIDE / "README.md").read_text(encoding="utf-8")
    for path in PAGES.values():
        assert path.name == "README.md" or f"({path.name})" in index, path.name


def test_every_page_links_to_places_that_exist() -> None:
    for path in PAGES.values():
        for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            page, _, anchor = target.partition("#")
            if page.startswith("http"):
                continue
            file = (path.parent / page) if page else path
            assert file.exists(), f"{path.name}: {target}"
            if anchor and file.suffix == ".md":
                assert anchor in anchors(file), f"{path.name}: {target}"


def anchors(path: Path) -> set[str]:
    """The anchors that headings of a page have on the usual sites."""
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}
