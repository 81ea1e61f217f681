"""Selectors as people write them: read, written back, and two made into one."""

import pytest

from modelrollout.promql.matchers import Kind, Matcher, Selector
from modelrollout.promql.selectors import SelectorError, histogram_selector, parse, union


def named(name: str, *matchers: tuple[str, Kind, str]) -> Selector:
    return Selector((Matcher("__name__", "=", name), *(Matcher(*matcher) for matcher in matchers)))


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("up", named("up")),
        ("job:errors:rate5m", named("job:errors:rate5m")),
        ("up{}", named("up")),
        ('up{pod="a"}', named("up", ("pod", "=", "a"))),
        (' up # the pods\n { pod = "a" ,\n\tcode!~ "5.." , } ', named("up", ("pod", "=", "a"), ("code", "!~", "5.."))),
        ('{__name__="up",pod!=""}', named("up", ("pod", "!=", ""))),
        ('{pod=~"a|b"}', Selector((Matcher("pod", "=~", "a|b"),))),
        ('{"metric.name"}', named("metric.name")),
        ("""{'metric.name', "label.name"=`x`, pod='y',}""",
         named("metric.name", ("label.name", "=", "x"), ("pod", "=", "y"))),
        ('{__name__=~"up|down",__name__!="down"}',
         Selector((Matcher("__name__", "=~", "up|down"), Matcher("__name__", "!=", "down")))),
        ('up{on="1",sum="2"}', named("up", ("on", "=", "1"), ("sum", "=", "2"))),
        (r'up{a="\"\\\n\t\x41\101\u00e9\U0001f600"}', named("up", ("a", "=", '"\\\n\tAA\u00e9\U0001f600'))),
        (r'up{a="\xc3\xa9"}', named("up", ("a", "=", "é"))),  # two bytes of one character
        (r"up{a='\'\x22',b=`\n`}", named("up", ("a", "=", "'\""), ("b", "=", "\\n"))),
    ],
)  # fmt: skip
def test_a_selector_is_read_as_prometheus_reads_it(text: str, selector: Selector) -> None:
    assert parse(text) == selector
    assert parse(str(selector)) == selector


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "{,}", "up[5m]", "up offset 5m", "up @ 1", "rate(up[1m])", "up + up", "1", "-up", "up{", "up}",
        'up{pod}', 'up{pod="a" code="b"}', 'up{pod=a}', 'up{pod=="a"}', 'up{pod="a",,}', 'up{"a"}', '{"a","b"}',
        'up{__name__="down"}', '{"a",__name__!="b"}', 'up{po:d="a"}', "inf", "sum", 'bool{a="b"}', '{""}',
        r'up{a="\q"}', r"""up{a="\'"}""", r'up{a="\xff"}', r'up{a="\ud800"}', r'up{a="\U00110000"}', r'up{a="\777"}',
        'up{a="\n"}', "up{a=\"b'}", 'up{a="\\"}',
    ],
)  # fmt: skip
def test_what_is_no_plain_selector_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse(text)


def test_an_error_names_the_place() -> None:
    with pytest.raises(SelectorError, match=r"'{' is wanted at character 3 of 'up\[5m\]'"):
        parse("up[5m]")


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (named("up"), "up"),
        (named("up", ("pod", "=~", 'a"\\\n\x00\ufffd')), 'up{pod=~"a\\"\\\\\\x0a\\x00\\ufffd"}'),
        (named("metric.name", ("label.name", "!=", "é")), '{__name__="metric.name","label.name"!="é"}'),
        (named("sum"), '{__name__="sum"}'),
        (Selector((Matcher("pod", "=", "a"), Matcher("__name__", "=", "up"))), '{pod="a",__name__="up"}'),
    ],
)
def test_a_selector_is_written_so_that_prometheus_reads_it(selector: Selector, text: str) -> None:
    assert str(selector) == text


@pytest.mark.parametrize(
    ("selector", "labels", "is_match"),
    [
        ('up{pod=~"a|ab"}', {"__name__": "up", "pod": "ab"}, True),
        ('up{pod=~"a"}', {"__name__": "up", "pod": "ab"}, False),  # anchored at both ends
        ('up{pod=~"a.b"}', {"__name__": "up", "pod": "a\nb"}, True),
        ('up{pod=~"a$"}', {"__name__": "up", "pod": "a\n"}, False),
        ('up{pod=~"^a$"}', {"__name__": "up", "pod": "a"}, True),
        (r'up{pod=~"\\d+"}', {"__name__": "up", "pod": "٣"}, False),  # digits are those of ASCII
        (r'up{pod=~"[\\w-]+\\.[^\\s]"}', {"__name__": "up", "pod": "a-1.x"}, True),
        (r'up{pod=~"\\s"}', {"__name__": "up", "pod": "\v"}, False),  # unlike in Python
        ('up{pod=~"[]a]{2}"}', {"__name__": "up", "pod": "]a"}, True),
        ('up{pod=~"fraud-[a-z0-9]+(-[a-z0-9]+)?"}', {"__name__": "up", "pod": "fraud-5d9c-x7"}, True),
        ('up{pod=""}', {"__name__": "up"}, True),
        ('up{pod!~".+"}', {"__name__": "up"}, True),
        ('up{pod!="a"}', {"__name__": "down", "pod": "b"}, False),
    ],
)
def test_a_selector_matches_as_prometheus_does(selector: str, labels: dict[str, str], is_match: bool) -> None:
    assert parse(selector).matches(labels) is is_match


@pytest.mark.parametrize(
    "expression",
    [
        "(?i)a", "(?P<x>a)", "(?<x>a)", "(?=a)", "(?!a)", "(?#a)", r"\pL", r"\Qa.b\E", r"\1", r"\012", r"\B", r"\Z",
        r"\C", r"\é", "[[:alpha:]]", r"[\D]", r"[\b]", "a**", "a*+", "a++", "a{2}{3}", "a{,3}", "a{02}", "a{3,2}",
        "a{1001}",
        "{", "*a", "a|*", "^*", "(a", "a)", "[a", "[b-a]", "a\\", r"\x{110000}", r"\xg",
        "(a+)+", "(a|a)*", "(a?b?)+", "a*b*c*d*", "(" * 30 + ")" * 30,
    ],
)  # fmt: skip
def test_what_python_reads_differently_or_for_ever_is_not_evaluated(expression: str) -> None:
    assert not Selector((Matcher("a", "=~", expression),)).is_clear
    assert not Selector((Matcher("a", "!~", expression),)).is_clear
    assert Selector((Matcher("a", "=", expression),)).is_clear


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ('http_total{pod=~"a-.+",code=~"5.."}', 'http_total{pod=~"a-.+"}', 'http_total{pod=~"a-.+"}'),
        ('http_total{pod="a",code=~"5.."}', 'http_total{pod="a",code=~"2.."}', 'http_total{pod="a"}'),
        ('errors{pod="a",code="x"}', 'total{ns="n",pod="a"}', '{__name__=~"errors|total",pod="a"}'),
        ("errors", "total", '{__name__=~"errors|total"}'),
        ('{"my.errors",pod="a"}', 'total{pod="a"}', '{__name__=~"my\\\\.errors|total",pod="a"}'),
        ('{__name__=~"a|b",pod="a"}', 'c{pod="a"}', '{__name__=~"(?:a|b)|c",pod="a"}'),
        ('x{pod="a"}', 'x{pod="a"}', 'x{pod="a"}'),
        ('{pod="a",code="5"}', '{pod="a"}', '{pod="a"}'),
        # Too much: all of both metrics, of every pod; or all that a pod says.
        ('errors{pod="a"}', 'total{job="a"}', None),
        ('errors{code="5"}', "total", None),
        ('{pod="a",code="5"}', '{pod="a",code="4"}', None),
        ('errors{pod="a"}', '{pod="a",code="5"}', None),
        ('errors{pod="a"}', '{__name__!="errors",pod="a"}', None),
        # Nobody could tell whose a series is.
        ('errors{pod="a",code=~"(?i)x"}', 'total{pod="a"}', None),
        ('errors{pod=~"(?i)x"}', 'errors{pod=~"(?i)x"}', None),
        # No selector to Prometheus.
        ('{__name__=~".*",pod=""}', '{__name__=~"a*",pod=""}', None),
    ],
)  # fmt: skip
def test_two_selectors_become_one_where_that_is_not_too_much(one: str, other: str, both: str | None) -> None:
    for first, second in ((one, other), (other, one)):
        found = union(parse(first), parse(second))
        assert (found is None) == (both is None)
    found = union(parse(one), parse(other))
    assert (found and str(found)) == both


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ('x_bucket{pod=~"a"}', '{__name__=~"x|x_bucket",pod=~"a"}'),
        ('x{pod=~"a"}', '{__name__=~"x|x_bucket",pod=~"a"}'),
        ("x", '{__name__=~"x|x_bucket"}'),
        ('{"my.latency",pod="a"}', '{__name__=~"my\\\\.latency|my\\\\.latency_bucket",pod="a"}'),
        ('{__name__=~"x.*",pod="a"}', '{__name__=~"x.*",pod="a"}'),
        ('{pod="a"}', '{pod="a"}'),
        ("_bucket", "_bucket"),
        ("rate(x_bucket[1m])", "rate(x_bucket[1m])"),
    ],
)  # fmt: skip
def test_a_histogram_is_asked_for_in_both_its_forms(text: str, asked: str) -> None:
    assert histogram_selector(text) == asked
