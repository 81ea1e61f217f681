"""Names in what users write."""

from __future__ import annotations

import pytest

from modelrollout.api.placeholders import UnknownName, render_text, render_tree

VALUES = {"pods": "fraud-b41c-[a-z0-9]+", "model.version": "12"}


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain {text} with {a: {b: 1}}", "plain {text} with {a: {b: 1}}"),
        ('x{pod=~"{{ pods }}"}', 'x{pod=~"fraud-b41c-[a-z0-9]+"}'),
        ("{{model.version}}/{{  model.version\n}}", "12/12"),
        ('{{ "{{" }} bos }}', "{{ bos }}"),
        ('{{ "" }}', ""),
        ("{ {{ pods }}{", "{ fraud-b41c-[a-z0-9]+{"),
    ],
)
def test_names_stand_for_their_values(text: str, rendered: str) -> None:
    assert render_text(text, VALUES, where="here") == rendered


def test_what_was_filled_in_is_not_filled_again() -> None:
    assert render_text("{{ a }}", {"a": "{{ b }}", "b": "no"}, where="here") == "{{ b }}"


def test_an_unknown_name_is_refused_with_place_name_and_the_known_ones() -> None:
    with pytest.raises(UnknownName) as refused:
        render_text("{{ pod }}", VALUES, where="analysis.metrics[errors].ratio.bad")
    assert str(refused.value) == (
        "analysis.metrics[errors].ratio.bad: {{ pod }} is not a known name; known here: model.version, pods."
    )


@pytest.mark.parametrize("text", ["{{ pods", "{{ pods }} {{", "{{ pods }"])
def test_braces_that_never_close_are_refused(text: str) -> None:
    with pytest.raises(UnknownName, match=r"^here: .* is never closed"):
        render_text(text, VALUES, where="here")


def test_a_tree_is_rendered_in_its_strings_and_nowhere_else() -> None:
    tree = {"image": "fraud:{{ model.version }}", "{{ key }}": [1, None, True, {"args": ["--v={{ model.version }}"]}]}
    rendered = {"image": "fraud:12", "{{ key }}": [1, None, True, {"args": ["--v=12"]}]}
    assert render_tree(tree, VALUES, where="spec") == rendered


def test_a_mistake_in_a_tree_is_found_by_its_path() -> None:
    tree = {"spec": {"containers": [{"image": "a"}, {"image": "fraud:{{ version }}"}]}}
    with pytest.raises(UnknownName, match=r"^template\.spec\.containers\[1\]\.image: \{\{ version \}\}"):
        render_tree(tree, VALUES, where="template")


def test_only_names_of_a_kind_are_filled_in_and_the_rest_is_left_for_later() -> None:
    text = 'x{pod=~"{{ pods }}",a="{{ args.a }}",b="{{ "{{" }}"}'
    assert render_text(text, {"args.a": "1"}, where="here", only="args.") == 'x{pod=~"{{ pods }}",a="1",b="{{ "{{" }}"}'


def test_an_unknown_name_of_that_kind_is_refused_all_the_same() -> None:
    with pytest.raises(UnknownName, match=r"\{\{ args\.b \}\} is not a known name; known here: args\.a"):
        render_text("{{ pods }}{{ args.b }}", {"args.a": "1"}, where="here", only="args.")
