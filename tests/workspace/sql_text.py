"""SQL as a list of tokens: enough to find names, keywords and texts in it, without being misled by comments and literals."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_TOKEN = re.compile(
    r"""
      (?P<blank>   \s+ | --[^\n]* | /\*(?!\+).*?\*/ )
    | (?P<text>    [rR]"[^"]*" | [rR]'[^']*' | '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
    | (?P<quoted>  `(?:[^`]|``)*` )
    | (?P<number>  \d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![A-Za-z_]) )
    | (?P<word>    \w+ )
    | (?P<mark>    . )
    """,
    re.DOTALL | re.VERBOSE,
)

# A name after one of these words is that of a relation or schema, not of a column.
_BEFORE_RELATION = (
    "clone", "database", "desc", "describe", "exists", "extended", "from", "history", "in", "into", "join", "optimize",
    "overwrite", "schema", "schemas", "table", "tables", "to", "update", "use", "using", "vacuum", "view", "views",
)  # fmt: skip


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words

    @property
    def is_name(self) -> bool:
        return self.kind in ("word", "quoted")

    @property
    def value(self) -> str:
        """The name, or the text of a literal, without its quotes."""
        if self.kind == "quoted":
            return self.text[1:-1].replace("``", "`")
        if self.kind == "text":
            return re.sub(r"\\(.)", r"\1", self.text[1:-1])
        return self.text


@dataclass(frozen=True)
class Name:
    """A name of one or more parts, where it stands, and whether its place is that of a relation."""

    parts: tuple[str, ...]
    tokens: tuple[Token, ...]
    names_relation: bool

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end


# A statement is looked at from many sides on its way.
@lru_cache(maxsize=256)
def tokens_of(sql: str) -> tuple[Token, ...]:
    """The tokens of a statement without blanks and comments."""
    return tuple(
        Token(found.lastgroup or "", found[0], found.start(), found.end())
        for found in _TOKEN.finditer(sql)
        if found.lastgroup != "blank"
    )


def bare(sql: str) -> str:
    """The statement without the comments that stand before it, such as dbt's query comment, and without a last `;`."""
    tokens = tokens_of(sql)
    while tokens and tokens[-1].text == ";":
        tokens = tokens[:-1]
    return sql[tokens[0].start : tokens[-1].end] if tokens else ""


def immediate_texts(sql: str) -> list[Token]:
    """The literals that `execute immediate` executes."""
    tokens = tokens_of(sql)
    found = zip(tokens, tokens[1:], tokens[2:], strict=False)
    return [
        text
        for verb, how, text in found
        if verb.is_word("execute") and how.is_word("immediate") and text.kind == "text"
    ]


def names_in(sql: str) -> Iterator[Name]:
    """Every name of a statement with its parts; a call of a function is none."""
    tokens = tokens_of(sql)
    position = 0
    while position < len(tokens):
        first = tokens[position]
        if not first.is_name:
            position += 1
            continue
        before = tokens[position - 1] if position else None
        is_comparison = position > 1 and tokens[position - 2].is_word("distinct")  # a is distinct from b
        parts = [first]
        position += 1
        while position + 1 < len(tokens) and tokens[position].text == "." and tokens[position + 1].is_name:
            parts.append(tokens[position + 1])
            position += 2
        # A list of columns follows the name of a table that is made or written; elsewhere it is a function's arguments.
        has_columns = bool(before and before.is_word("exists", "into", "overwrite", "table", "view"))
        is_call = position < len(tokens) and tokens[position].text == "(" and len(parts) == 1 and not has_columns
        is_keyword = len(parts) == 1 and first.is_word("if", "like", "not", *_BEFORE_RELATION)
        if is_call or is_keyword or (before and before.text in (".", ":")):
            continue
        names_relation = bool(before and before.is_word(*_BEFORE_RELATION)) and not is_comparison
        yield Name(tuple(each.value for each in parts), tuple(parts), names_relation)


def replaced(sql: str, replacements: list[tuple[int, int, str]]) -> str:
    """The statement with the text between each start and end replaced."""
    for start, end, text in sorted(replacements, reverse=True):
        sql = sql[:start] + text + sql[end:]
    return sql


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def starts_with(sql: str, *words: str) -> bool:
    """Do the first tokens of the statement say this, whatever their case and spacing?"""
    tokens = tokens_of(sql)
    return len(tokens) >= len(words) and all(token.is_word(word) for token, word in zip(tokens, words, strict=False))


def quoted(*parts: str) -> str:
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)
