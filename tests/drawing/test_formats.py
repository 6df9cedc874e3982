"""Mermaid, DOT and SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from tests.drawing.lab import EVERYTHING, picture

from tramontane.drawing import Picture, to_dot, to_mermaid, to_svg

SVG = "{http://www.w3.org/2000/svg}"
ODD = """
    'a/"b"<c>':
      tasks:
        'x "y" <z> & #1; `q` [a] {b} | end': {on-success: [{'é': "<% $.a = '\\"' and $.b < 2 %>"}]}
        'é': {workflow: "<% $.wf %>"}
        plain: {on-error: 'fail(msg="say \\\\ <b>")'}
"""
SMALL = """
    wf:
      tasks:
        a: {on-success: [{b: <% $.x %>}], on-error: b}
        b: {join: all}
"""


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_mermaid_lists_tasks_then_transitions_then_looks() -> None:
    assert to_mermaid(picture(SMALL)).splitlines() == [
        "---",
        'title: "wf"',
        "---",
        "flowchart TD",
        '    n0("<b>a</b><br/>std.noop")',
        '    n1{{"<b>b</b><br/>std.noop<br/><i>join all</i>"}}',
        '    n0 -->|"$.x"| n1',
        "    n0 -.-> n1",
        "    linkStyle 0 stroke:#15803d",
        "    linkStyle 1 stroke:#dc2626",
        "    classDef action fill:#f8fafc,stroke:#64748b,color:#111",
        "    class n0,n1 action",
        "    classDef first stroke-width:3px",
        "    class n0 first",
    ]


def test_mermaid_takes_no_text_for_its_own_signs() -> None:
    for line in to_mermaid(picture(ODD)).splitlines()[4:]:
        inner = re.findall(r'"([^"]*)"', line)
        for text in inner:
            bare = re.sub(r"#\d+;|</?[bi]>|<br/>", "", text)
            assert not re.search(r'[<>&"`|#{}\[\]\\]', bare), line
    assert "|\"$.a = '#34;' and $.b #60; 2\"|" in to_mermaid(picture(ODD))


def test_dot_has_a_node_for_each_task_and_an_edge_for_each_transition() -> None:
    lines = to_dot(picture(SMALL)).splitlines()
    assert lines[0] == 'digraph "wf" {'
    assert lines[-1] == "}"
    nodes = [line for line in lines if re.match(r"\s+n\d+ \[", line)]
    edges = [line for line in lines if "->" in line]
    assert len(nodes) == 2
    assert 'label="b\\nstd.noop\\njoin all"' in nodes[1]
    assert 'shape="hexagon"' in nodes[1]
    assert [re.sub(r" \[.*", "", line).strip() for line in edges] == ["n0 -> n1", "n0 -> n1"]
    assert 'label="$.x"' in edges[0]
    assert 'style="dashed"' in edges[1]


def test_dot_escapes_quotes_and_backslashes() -> None:
    text = to_dot(picture(ODD))
    assert 'digraph "a/\\"b\\"<c>" {' in text
    assert "say \\\\\\\\ <b>" in text or "say \\\\ <b>" in text
    for line in text.splitlines():
        assert len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0


@pytest.mark.parametrize("text", [SMALL, ODD, EVERYTHING], ids=["small", "odd", "everything"])
def test_svg_is_xml_that_shows_every_name(text: str) -> None:
    drawn = picture(text)
    shown = texts(to_svg(drawn))
    for node in drawn.nodes:
        assert node.name in shown
        assert all(mark in shown for mark in node.marks)
    for edge in drawn.edges:
        assert not edge.label or edge.label in shown
    assert set(drawn.edge_kinds) <= set(shown)


def test_svg_has_no_scripts_links_or_fonts_of_others() -> None:
    root = ElementTree.fromstring(to_svg(picture(EVERYTHING)))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "rect", "text", "g", "path", "circle"}
    assert not any("href" in name for element in root.iter() for name in element.attrib)


def test_the_arrows_of_an_svg_differ_by_clause() -> None:
    root = ElementTree.fromstring(to_svg(picture(EVERYTHING)))
    lines = {
        group.get("class"): (path.get("stroke"), path.get("stroke-dasharray"), path.get("stroke-width"))
        for group in root.iter(f"{SVG}g")
        if (group.get("class") or "").startswith("on-") and (path := group.find(f"{SVG}path")) is not None
    }
    assert set(lines) == {"on-success", "on-error", "on-complete", "on-skip"}
    assert len(set(lines.values())) == 4


def test_what_is_cut_stands_in_full_in_a_tooltip() -> None:
    guard = "$.answer = " + "x" * 80
    svg = to_svg(picture(f"wf: {{tasks: {{{'n' * 60}: {{on-success: [{{b: <% {guard} %>}}]}}, b: {{}}}}}}"))
    titles = [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}title")]
    assert any(guard in title for title in titles)
    assert any("n" * 60 in title for title in titles)
    assert "n" * 60 not in texts(svg)


@pytest.mark.parametrize("write", [to_mermaid, to_dot, to_svg])
def test_a_workflow_of_sixty_tasks_is_drawn(write: object) -> None:
    tasks = [f"t{number}: {{on-success: [t{number + 1}, t{min(number + 7, 60)}]}}" for number in range(60)]
    tasks = [task.replace(", t60]", "]") if "t60, t60" in task else task for task in tasks]
    drawn: Picture = picture(f"wf: {{tasks: {{{', '.join(tasks)}, t60: {{join: all}}}}}}")
    assert callable(write)
    text = write(drawn)
    assert all(node.name in text for node in drawn.nodes)
