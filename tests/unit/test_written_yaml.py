"""What generate_properties writes is YAML that says the same to whoever reads it, dbt's Jinja among them."""

from __future__ import annotations

import jinja2
import pytest
import yaml

HOSTILE = [
    'it\'s "quoted" \\ and: colon # no comment',
    "- no list",
    "line\nafter\n\nline\ttab",
    "🚚 ü €",
    "{{ ref('x') }} {% if y %} {# z #} {{{ }}} }} %} #} {",
    "a\u2028b\u0085c\x07d\ufeffe",
    " blank ends ",
    "yes",
    "NULL",
    "2024-01-01",
    "1e3",
    "~",
    "*alias &anchor !tag %directive @ `",
    "${x}",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_read_as_it_was_written(macros, text):
    value = {"models": [{"name": text, "texts": [text, {"text": text}], "deep": {"key": {"text": text}}}]}
    read = yaml.safe_load(macros("duckdb")._yaml(value))
    (model,) = read["models"]
    # dbt renders what it reads, where it looks like Jinja.
    rendered = [
        jinja2.Environment(keep_trailing_newline=True).from_string(each).render()
        for each in (model["name"], *model["texts"], model["deep"]["key"])
    ]
    assert rendered == [text] * 4


def test_jinja_that_is_meant_stays(macros):
    written = macros("duckdb")._yaml({"description": {"jinja": "{{ doc('a', 'b') }}"}})
    assert written == "description: \"{{ doc('a', 'b') }}\""


def test_it_is_laid_out_as_people_write_it(macros):
    value = {
        "models": [
            {
                "name": "gold",
                "config": {"contract": {"enforced": True}},
                "data_tests": ["package.one", {"package.two": {"arguments": {"least": 1, "name": "on"}}}],
                "columns": [],
                "nothing": None,
            }
        ]
    }
    assert macros("duckdb")._yaml(value).split("\n") == [
        "models:",
        "  - name: gold",
        "    config:",
        "      contract:",
        "        enforced: true",
        "    data_tests:",
        "      - package.one",
        "      - package.two:",
        "          arguments:",
        "            least: 1",
        '            name: "on"',
        "    columns: []",
        "    nothing: null",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sum(a)", "`sum(a)`"),
        ("a\n  + b", "`a + b`"),
        ("`a b`", "`` `a b` ``"),
        ("a `` b ` c", "``` a `` b ` c ```"),
    ],
)
def test_code_holds_whatever_the_text_holds(macros, text, code):
    assert macros("duckdb")._code(text) == code
