"""How a comparer is started, and how it refuses."""

from __future__ import annotations

import pytest

from modelrollout.comparer.__main__ import main
from tests.fakes.versions import config


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("{}", "--config (or $MODELROLLOUT_COMPARER): namespace: Field required"),
        (
            config("http://stable", "http://candidate")
            .model_dump_json(by_alias=True)
            .replace("http://stable", "stable"),
            "--config (or $MODELROLLOUT_COMPARER): stable.url: String should match pattern",
        ),
    ],
)
def test_what_is_wrong_with_its_configuration_is_named(
    told: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--config", told])
    assert sentence in capsys.readouterr().err
