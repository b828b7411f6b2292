"""Every chat template of llama.cpp's collection renders as transformers' Jinja renders it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import pytest
import remuda
import vocabularies
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 7, 4, 9, 5, 3, tzinfo=datetime.UTC)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city, now or on a day.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Its name."},
                "days": {"type": "integer", "description": "How many.", "default": 1},
                "unit": {"type": "string", "enum": ["c", "f"]},
                "exact": {"type": "boolean"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "place": {"type": "object", "properties": {"lat": {"type": "number"}}},
            },
            "required": ["city"],
        },
    },
}
CALL = {
    "id": "call0001a",
    "type": "function",
    "function": {
        "name": "get_weather",
        "arguments": {"city": "Z\u00fcrich", "days": 2, "exact": True},
    },
}
CALL_TEXT = {**CALL, "function": {"name": "get_weather", "arguments": '{"city": "Z\u00fcrich"}'}}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


SYSTEM = {"role": "system", "content": "Be brief."}
RESULT = {
    "role": "tool",
    "name": "get_weather",
    "tool_call_id": "call0001a",
    "content": '{"temperature": 21.5}',
}
PARTS = {"role": "user", "content": [{"type": "text", "text": "What is\nthis?"}]}

CONVERSATIONS: dict[str, dict[str, Any]] = {
    "question": {
        "messages": [user("Hello <b>&</b> 'you' \u00e4\u6f22")],
        "add_generation_prompt": True,
    },
    "no prompt": {"messages": [user("Hi"), assistant("Hello.\n")]},
    "system": {"messages": [SYSTEM, user(" Hi \n")], "add_generation_prompt": True},
    "turns": {
        "messages": [
            SYSTEM,
            user("1 + 1?"),
            assistant("2"),
            user("And 2 + 2?"),
            assistant(" 4 "),
            user("Thanks"),
        ],
        "add_generation_prompt": True,
    },
    "thought": {
        "messages": [
            user("1 + 1?"),
            assistant("<think>\nEasy.\n</think>\n\n2", reasoning_content="Easy."),
            user("Sure?"),
        ],
        "add_generation_prompt": True,
    },
    "thinking off": {
        "messages": [user("Hi")],
        "add_generation_prompt": True,
        "enable_thinking": False,
    },
    "thinking on": {
        "messages": [user("Hi")],
        "add_generation_prompt": True,
        "enable_thinking": True,
    },
    "parts": {"messages": [PARTS], "add_generation_prompt": True},
    "tools": {
        "messages": [SYSTEM, user("Rain?")],
        "tools": [WEATHER],
        "add_generation_prompt": True,
    },
    "tool call": {
        "messages": [user("Rain?"), assistant("", tool_calls=[CALL]), RESULT],
        "tools": [WEATHER],
        "add_generation_prompt": True,
    },
    "tool call as text": {
        "messages": [
            user("Rain?"),
            assistant(None, tool_calls=[CALL_TEXT]),
            RESULT,
            assistant("No."),
            user("Ok"),
        ],
        "tools": [WEATHER],
        "add_generation_prompt": True,
    },
    "two calls": {
        "messages": [
            SYSTEM,
            user("Rain?"),
            assistant("Let me see.", tool_calls=[CALL, {**CALL, "id": "call0002b"}]),
            RESULT,
            {**RESULT, "tool_call_id": "call0002b"},
        ],
        "tools": [WEATHER, WEATHER],
    },
    "documents": {
        "messages": [user("What does it say?")],
        "documents": [{"title": "One", "text": "First."}, {"title": "Two", "text": "Second."}],
        "add_generation_prompt": True,
    },
    "developer": {"messages": [{"role": "developer", "content": "Be kind."}, user("Hi")]},
    "unknown role": {"messages": [user("Hi"), {"role": "oracle", "content": "So."}]},
    "two questions": {"messages": [user("One"), user("Two")], "add_generation_prompt": True},
    "more variables": {
        "messages": [user("Rain?")],
        "functions": '[{"name": "get_weather"}]',
        "datetime": "Saturday",
        "add_generation_prompt": True,
    },
    "nothing": {"messages": []},
}


class Generation(jinja2.ext.Extension):
    """`{% generation %}`: a block that is shown, as transformers has it outside of training."""

    tags = frozenset({"generation"})

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def oracle() -> ImmutableSandboxedEnvironment:
    """The environment that transformers' `apply_chat_template` makes."""

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: Any = None,
        separators: Any = None,
        sort_keys: bool = False,
    ) -> str:
        options = {"indent": indent, "separators": separators, "sort_keys": sort_keys}
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    def refuse(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = NOW.strftime
    return environment


TEMPLATES = sorted((vocabularies.fetch() / "templates").glob("*.jinja"))


def test_the_collection_is_there() -> None:
    assert len(TEMPLATES) >= 50


REFUSALS = (
    jinja2.exceptions.TemplateError,
    TypeError,
    KeyError,
    AttributeError,
    ValueError,
    IndexError,
)


def expected_of(template: jinja2.Template, variables: dict[str, Any]) -> str | None:
    """What transformers makes of a conversation, nothing where it refuses it.

    One refusal is a slip of theirs: tools that were not given are `None`, which a loop over them does not take,
    although the same template loops over none at all when they are missing. We render that.
    """
    try:
        return template.render(bos_token="<s>", eos_token="</s>", **variables)
    except TypeError as error:
        if str(error) != "'NoneType' object is not iterable":
            return None
        given = {name: value for name, value in variables.items() if value is not None}
        return None if given == variables else expected_of(template, given)
    except REFUSALS:
        return None


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_renders_as_in_transformers(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    expected_template = oracle().from_string(source)
    template = remuda.ChatTemplate(source, bos_token="<s>", eos_token="</s>")
    rendered = 0
    for name, conversation in CONVERSATIONS.items():
        variables = {
            "tools": None,
            "documents": None,
            "add_generation_prompt": False,
            **conversation,
        }
        expected = expected_of(expected_template, variables)
        if expected is None:
            with pytest.raises(remuda.Error):
                template.apply(**variables, now=NOW)
                print(f"{path.stem}: {name}: rendered, but transformers refuses it")
            continue
        assert template.apply(**variables, now=NOW) == expected, name
        rendered += 1
    assert rendered > 0
