"""Selectors as people write them: read, written back, and two made into one."""

import pytest

from modelrollout.promql.matchers import Kind, Matcher, Selector
from modelrollout.promql.regexes import RegexError
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
        (
            """{'metric.name', "label.name"=`x`, pod='y',}""",
            named("metric.name", ("label.name", "=", "x"), ("pod", "=", "y")),
        ),
        (
            '{__name__=~"up|down",__name__!="down"}',
            Selector((Matcher("__name__", "=~", "up|down"), Matcher("__name__", "!=", "down"))),
        ),
        ('up{on="1",sum="2"}', named("up", ("on", "=", "1"), ("sum", "=", "2"))),
        (r'up{a="\"\\\n\t\x41\101\u00e9\U0001f600"}', named("up", ("a", "=", '"\\\n\tAA\u00e9\U0001f600'))),
        (r'up{a="\xc3\xa9"}', named("up", ("a", "=", "é"))),  # two bytes of one character
        (r"up{a='\'\x22',b=`\n`}", named("up", ("a", "=", "'\""), ("b", "=", "\\n"))),
    ],
)
def test_a_selector_is_read_as_prometheus_reads_it(text: str, selector: Selector) -> None:
    assert parse(text) == selector
    assert parse(str(selector)) == selector


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{,}",
        "up[5m]",
        "up offset 5m",
        "up @ 1",
        "rate(up[1m])",
        "up + up",
        "1",
        "-up",
        "up{",
        "up}",
        "up{pod}",
        'up{pod="a" code="b"}',
        "up{pod=a}",
        'up{pod=="a"}',
        'up{pod="a",,}',
        'up{"a"}',
        '{"a","b"}',
        'up{__name__="down"}',
        '{"a",__name__!="b"}',
        'up{po:d="a"}',
        "inf",
        "sum",
        'bool{a="b"}',
        '{""}',
        r'up{a="\q"}',
        r"""up{a="\'"}""",
        r'up{a="\xff"}',
        r'up{a="\ud800"}',
        r'up{a="\U00110000"}',
        r'up{a="\777"}',
        'up{a="\n"}',
        "up{a=\"b'}",
        'up{a="\\"}',
    ],
)
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
        ('up{pod=~".*"}', {"__name__": "up", "pod": "\ud800"}, True),  # half a character is a character
    ],
)
def test_a_selector_matches_as_prometheus_does(selector: str, labels: dict[str, str], is_match: bool) -> None:
    assert parse(selector).matches(labels) is is_match


@pytest.mark.parametrize(
    ("expression", "accepted", "refused"),
    [
        ("(?i)a", "A", "b"),
        ("(?P<x>a)", "a", "x"),
        ("(?<x>a)", "a", "x"),
        (r"\pL", "é", "1"),
        (r"\Qa.b\E", "a.b", "axb"),
        (r"\012", "\n", "1"),
        (r"\B", "", "a"),
        ("[[:alpha:]]", "a", "1"),
        (r"[\D]", "a", "1"),
        ("a{,3}", "a{,3}", "aa"),
        ("a{02}", "a{02}", "aa"),
        ("{", "{", ""),
        ("(a+)+", "a" * 60, "a" * 60 + "b"),
        ("(a|a)*", "a" * 60, "a" * 60 + "b"),
        ("(a?b?)+", "ab" * 30, "ab" * 30 + "c"),
        ("a*b*c*d*" * 9, "abcd" * 9, "abcd" * 10),
        ("(" * 30 + "a" + ")" * 30, "a", "b"),
        ("(?-s:.)", "a", "\n"),
        ("(?m)^a$", "a", "a\n"),
    ],
)
def test_what_python_reads_differently_or_for_ever_is_evaluated_as_well(
    expression: str, accepted: str, refused: str
) -> None:
    assert Matcher("a", "=~", expression).accepts(accepted)
    assert not Matcher("a", "=~", expression).accepts(refused)
    assert not Matcher("a", "!~", expression).accepts(accepted)
    assert Matcher("a", "!~", expression).accepts(refused)


@pytest.mark.parametrize(
    "expression",
    [
        "(?=a)",
        "(?!a)",
        "(?#a)",
        r"\1",
        r"\Z",
        r"\E",
        r"\é",
        r"[\b]",
        "a**",
        "a*+",
        "a++",
        "a{2}{3}",
        "a{3,2}",
        "a{1001}",
        "((a{100}){10}){2}",
        "*a",
        "a|*",
        "(a",
        "a)",
        "[a",
        "[b-a]",
        "a\\",
        r"\x{110000}",
        r"\xg",
        "\ud800",
        "(?x)a",
    ],
)
def test_what_prometheus_refuses_is_no_expression(expression: str) -> None:
    for kind in ("=~", "!~"):
        with pytest.raises(RegexError):
            Matcher("a", kind, expression)
    assert Matcher("a", "=", expression).accepts(expression)


def test_an_error_names_the_expression_and_the_selector() -> None:
    with pytest.raises(SelectorError) as error:
        parse('up{pod=~"a("}')
    assert str(error.value) == "'a(' is no regular expression of RE2: missing ): a( in 'up{pod=~\"a(\"}'"


@pytest.mark.parametrize("expression", [r"(\pL{100}){10}", "a" * 1_000_000, "(?i)" + r"\pL" * 1_000])
def test_an_expression_that_takes_much_memory_is_refused(expression: str) -> None:
    with pytest.raises(RegexError, match="too large"):
        Matcher("a", "=~", expression)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ('http_total{pod=~"a-.+",code=~"5.."}', 'http_total{pod=~"a-.+"}', 'http_total{pod=~"a-.+"}'),
        ('http_total{pod="a",code=~"5.."}', 'http_total{pod="a",code=~"2.."}', 'http_total{pod="a"}'),
        ('errors{pod="a",code="x"}', 'total{ns="n",pod="a"}', '{__name__=~"errors|total",pod="a"}'),
        ("errors", "total", '{__name__=~"errors|total"}'),
        ('{"my.errors",pod="a"}', 'total{pod="a"}', '{__name__=~"my[.]errors|total",pod="a"}'),
        ('{__name__=~"a|b",pod="a"}', 'c{pod="a"}', '{__name__=~"(?:a|b)|c",pod="a"}'),
        ('x{pod="a"}', 'x{pod="a"}', 'x{pod="a"}'),
        ('{pod="a",code="5"}', '{pod="a"}', '{pod="a"}'),
        ('errors{pod="a",code=~"(?i)x"}', 'total{pod="a"}', '{__name__=~"errors|total",pod="a"}'),
        ('errors{pod=~"(?i)x"}', 'errors{pod=~"(?i)x"}', 'errors{pod=~"(?i)x"}'),
        ('{__name__=~"(?i)a|b",pod="a"}', 'c{pod="a"}', '{__name__=~"(?:(?i)a|b)|c",pod="a"}'),
        # Too much: all of both metrics, of every pod; or all that a pod says.
        ('errors{pod="a"}', 'total{job="a"}', None),
        ('errors{code="5"}', "total", None),
        ('{pod="a",code="5"}', '{pod="a",code="4"}', None),
        ('errors{pod="a"}', '{pod="a",code="5"}', None),
        ('errors{pod="a"}', '{__name__!="errors",pod="a"}', None),
        # Two groups of one name are an error; so is one whose quotation does not end.
        ('{__name__=~"(?P<n>a)",pod="a"}', '{__name__=~"(?P<n>b)",pod="a"}', None),
        ('{__name__=~"\\\\Qa",pod="a"}', '{__name__=~"b",pod="a"}', None),
        # No selector to Prometheus.
        ('{__name__=~".*",pod=""}', '{__name__=~"a*",pod=""}', None),
    ],
)
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
        ('{"my.latency",pod="a"}', '{__name__=~"my[.]latency|my[.]latency_bucket",pod="a"}'),
        ('{__name__=~"x.*",pod="a"}', '{__name__=~"x.*",pod="a"}'),
        ('{pod="a"}', '{pod="a"}'),
        ("_bucket", "_bucket"),
        ("rate(x_bucket[1m])", "rate(x_bucket[1m])"),
    ],
)
def test_a_histogram_is_asked_for_in_both_its_forms(text: str, asked: str) -> None:
    assert histogram_selector(text) == asked
