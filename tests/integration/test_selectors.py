"""Selectors held against a real Prometheus: what we read, write and match is what it reads, finds and matches."""

import random
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from modelrollout.prometheus import Prometheus
from modelrollout.promql.matchers import Matcher, Selector
from modelrollout.promql.query import Answer, Answered, Query, Unanswered
from modelrollout.promql.regexes import RegexError
from modelrollout.promql.selectors import SelectorError, parse, union
from modelrollout.promql.strings import quoted
from tests.integration.scraped import Page, scraped, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="prometheus is not on PATH: apt-get install prometheus"
    ),
]

SECOND = timedelta(seconds=1)
VALUES = [
    "a",
    "b",
    "ab",
    "ba",
    "a.b",
    "a-b",
    "aaa",
    "A",
    "1",
    "42",
    "a1",
    " ",
    "a b",
    "\t",
    "\v",
    "_",
    "é",
    "٣",
    "ſ",
    "K",
    "\\",
    '"',
    "'",
    "`",
    "\\n",
    "]",
    "[",
    "^",
    "-",
    "a]",
    "{",
    "a{2}",
    "$",
    "😀",
    "\x00",
    "a\n",
    "\n",
    "|",
    ":",
]
EXPRESSIONS = [
    "",
    "a",
    "a|b",
    ".*",
    ".+",
    ".",
    "a.b",
    r"a\.b",
    "a$",
    "^a$",
    "^a|b$",
    "a?",
    "a{2,3}",
    "a{3}",
    "[ab]+",
    "[^ab]+",
    "[]a]+",
    "[^]a]",
    "[a-b]*",
    "[-a]+",
    "[a-]+",
    r"[\]\[^-]",
    r"[\d-z]+",
    r"[a\d]+",
    r"\d+",
    r"\D",
    r"\w+",
    r"\W",
    r"\s",
    r"\S+",
    r"[\s]",
    r"[\w]",
    r"\t",
    r"\v",
    r"\n",
    r"\\",
    r"\\n",
    r"\x61",
    r"\x{1F600}",
    r"\x{e9}",
    r"[\x{61}-\x{62}]",
    r"\_",
    r"\-",
    r"\ab?",
    r"\Aa\z",
    r"\ba\b.*",
    "a*?",
    "a+?b",
    "(a|)b?",
    "()a",
    "(?:a)(b)?",
    "()*",
    "a{2}}",
    "]",
    "}",
    "a]",
    "[{]",
    "[|:]",
    "é",
    "[é]",
    "[é-ſ]",
    r"a\{2\}",
    r"\$",
    r"\|",
    ":",
    "[:]",
    "a b",
    "[[]",
    "[\"'`]",
    ".{1}",
    "a{0}",
    "a{0,1}",
    "(?i)A",
    "(?P<x>a)",
    r"\pL",
    r"\Qa.b\E",
    r"\012",
    r"\B",
    "[[:alpha:]]",
    r"[\D]",
    "a{,3}",
    "a{02}",
    "{",
    "(a+)+",
    "(a?b?)+",
    "(?-s:.)",
    "(?m)^a$",
    "(?i)k",
    "(?i)s",
    r"\p{Greek}",
    r"[^\pL]",
    "(?U)a+",
    "(|a)*",
    r"\PN",
    "(?s).",
]
PIECES = [
    "a",
    "b",
    "1",
    " ",
    "-",
    ".",
    "|",
    "(",
    ")",
    "(?:",
    "[",
    "]",
    "[^",
    "*",
    "+",
    "?",
    "{2}",
    "{1,2}",
    "^",
    "$",
    r"\d",
    r"\w",
    r"\s",
    r"\.",
    r"\n",
    r"\b",
    r"\x61",
    "é",
    "ab",
    "[ab]",
    "(a|b)",
    r"\\",
    ":",
    "_",
    "{",
    "}",
    "(?i)",
    "(?-s:",
    r"\pL",
    "[[:alpha:]]",
    r"\Qa.\E",
    r"\E",
    r"\B",
    "{,2}",
    "??",
]


def exposition() -> str:
    """One series for each value, and the counters of a ratio."""

    def text(value: str) -> str:
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    odd = [f'odd{{v="{text(value)}",n="{number}"}} 1' for number, value in enumerate(VALUES)]
    served = [
        f'{name}{{app="{app}",code="{code}"}} 1'
        for name in ("errors_total", "requests_total", "other_total")
        for app in ("a", "b")
        for code in ("200", "404", "500")
    ]
    return "\n".join([*odd, *served, ""])


class World:
    """A Prometheus that has scraped the page, and its version."""

    def __init__(self, client: Prometheus) -> None:
        self._client = client
        self.version = 0

    async def now(self, promql: str) -> Answer:
        moment = datetime.now(UTC)
        query = Query("m", "candidate", "value", promql, moment, moment, SECOND)
        return (await self._client.ask([query]))[query]

    async def labels(self, promql: str) -> list[dict[str, str]]:
        answer = await self.now(promql)
        assert isinstance(answer, Answered), (promql, answer)
        return [dict(series.labels) for series in answer.series]

    async def look_up_version(self) -> None:
        (info,) = await self.labels("prometheus_build_info")
        self.version = int(info["version"].split(".")[0])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    page = Page(exposition().encode(), "text/plain; version=0.0.4; charset=utf-8")
    async with scraped([page], tmp_path_factory.mktemp("prometheus")) as url, Prometheus(url) as client:
        world = World(client)

        async def is_scraped() -> bool:
            return (
                len(await world.labels("odd")) == len(VALUES) and len(await world.labels("prometheus_build_info")) > 0
            )

        await until(is_scraped)
        await world.look_up_version()
        yield world


async def test_expressions_match_what_they_match_there(world: World) -> None:
    await _compare(world, EXPRESSIONS, valid=len(EXPRESSIONS))


async def test_random_expressions_match_what_they_match_there(world: World) -> None:
    dice = random.Random(7)  # noqa: S311 - nothing is kept secret
    chosen = ["".join(dice.choices(PIECES, k=dice.randint(1, 6))) for _ in range(600)]
    await _compare(world, chosen, valid=200)


async def _compare(world: World, expressions: list[str], *, valid: int) -> None:
    series = await world.labels("odd")
    compared = 0
    for expression in expressions:
        for kind in ("=~", "!~"):
            try:
                selector = Selector((Matcher("__name__", "=", "odd"), Matcher("v", kind, expression)))
            except RegexError:
                refused = await world.now(f"odd{{v{kind}{quoted(expression)}}}")
                assert isinstance(refused, Unanswered), expression
                assert refused.rejected
                continue
            compared += 1
            ours = [labels for labels in series if selector.matches(labels)]
            theirs = await world.labels(str(selector))
            if world.version < 3 and "." in expression:  # where a dot was no newline yet
                ours, theirs = ([each for each in some if "\n" not in each["v"]] for some in (ours, theirs))
            assert [each["v"] for each in ours] == [each["v"] for each in theirs], expression
    assert compared >= 2 * valid


@pytest.mark.parametrize("value", VALUES)
async def test_every_text_is_found_as_it_is_written(world: World, value: str) -> None:
    (found,) = await world.labels(str(Selector((Matcher("__name__", "=", "odd"), Matcher("v", "=", value)))))
    assert found["v"] == value


@pytest.mark.parametrize(
    "text",
    [
        r'odd{v="\x61"}',
        r'odd{v="\141"}',
        r'odd{v="\u0061"}',
        r'odd{v="\U00000061"}',
        r"odd{v='a'}",
        "odd{v=`a`}",
        r'odd{v="\xc3\xa9"}',
        r'odd{v="\\"}',
        r'odd{v="\\n"}',
        r"odd{v=`\n`}",
        r'odd{v="\n"}',
        r'odd{v="\t"}',
        r'odd{v="\v"}',
        r"""odd{v="\""}""",
        r"""odd{v='\''}""",
        r"""odd{v='"'}""",
        'odd # x\n {\n v = "a" , }',
        '{__name__="odd",v="a"}',
    ],
)
async def test_quotes_and_escapes_mean_what_they_mean_there(world: World, text: str) -> None:
    (found,) = await world.labels(text)
    assert parse(text).matches(found)
    (again,) = await world.labels(str(parse(text)))
    assert again == found


@pytest.mark.parametrize(
    "text",
    [
        r'odd{v="\q"}',
        r"""odd{v="\'"}""",
        r'odd{v="\ud800"}',
        r'odd{v="\U00110000"}',
        r'odd{v="\777"}',
        'odd{v="\n"}',
        "odd{",
        'odd{v=="a"}',
        'odd{v="a",,}',
        "odd{,}",
        'odd{__name__="odd"}',
        'odd{o:dd="a"}',
        "odd{v=a}",
        "{}",
        'bool{a="b"}',
    ],
)
async def test_what_we_refuse_is_refused_there(world: World, text: str) -> None:
    with pytest.raises(SelectorError):
        parse(text)
    answer = await world.now(text)
    assert isinstance(answer, Unanswered)
    assert answer.rejected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('requests_total{app=~"a",code=~"5.."}', 'requests_total{app=~"a"}'),
        ('requests_total{app="a",code=~"5.."}', 'requests_total{app="a",code!~"5.."}'),
        ('errors_total{app=~"a|b",code!=""}', 'requests_total{app=~"a|b"}'),
        ("errors_total", "requests_total"),
    ],
)
async def test_one_answer_is_split_into_what_two_would_have_been(world: World, one: str, other: str) -> None:
    both = union(parse(one), parse(other))
    assert both
    together = await world.labels(str(both))
    for text in (one, other):
        assert [each for each in together if parse(text).matches(each)] == await world.labels(text)
