"""What people are shown while the demo runs."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from demo.chronicle import EventSeen, by_version, workloads
from demo.folder import BusyError, claimed
from demo.recorder import percent, shares_of_users
from demo.report import report
from demo.scene import Crowd, Scene, differences
from demo.screen import EVENTS, LiveScreen, PlainScreen, picture, table
from demo.story import STORY
from modelrollout.api.ab_test import Buckets
from modelrollout.api.status import MetricVerdict, Phase, Verdict
from tests.demo.demo_chronicles import status, taken_back

V3 = STORY[2]
ERRORS = MetricVerdict(
    metric="errors", verdict=Verdict.FAIL, candidate="22%", stable="0%", bound="≤ 1%", samples=27, message="too many"
)
AT_5 = Scene(
    elapsed=42.0,
    release=V3,
    status=status(Phase.PROGRESSING, stable="v2", candidate="v3", weight=5, verdicts=(ERRORS,), message="Held."),
    shares={"v2": 95, "v3": 5},
    crowd=Crowd(per_second=119, served=5210, harmed=8),
    told=(EventSeen(0.0, "Normal", "StepStarted", "canary 5 %"),),
)


def shown(scene: Scene, *, height: int = 60) -> list[str]:
    console = Console(file=io.StringIO(), width=100, height=height)
    console.print(picture(scene))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_every_change_is_a_line() -> None:
    assert list(differences(Scene(release=V3), AT_5)) == [
        "phase   Progressing canary 5 %",
        "route   v2 95 %, v3 5 %",
        "verdict errors: Fail, 22% (stable 0%)",
        "event   StepStarted: canary 5 %",
        "users   the first one was harmed",
    ]


def test_what_stays_as_it_is_is_told_once() -> None:
    later = replace(AT_5, elapsed=43.0, crowd=replace(AT_5.crowd, served=5330, harmed=9))
    assert list(differences(AT_5, later)) == []


def test_requests_that_failed_by_the_switch_are_told_at_once() -> None:
    later = replace(AT_5, crowd=replace(AT_5.crowd, failed_by_switch=3))
    assert list(differences(AT_5, later)) == ["users   3 requests failed because traffic moved"]


def test_the_plain_screen_writes_lines_with_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    screen.show(replace(AT_5, told=(), crowd=Crowd()))
    screen.show(replace(AT_5, elapsed=60.0, told=()))
    lines = capsys.readouterr().out.splitlines()
    assert [line[9:].strip() for line in lines] == [
        "s  v3  phase   Progressing canary 5 %".removeprefix("s  "),
        "v3  route   v2 95 %, v3 5 %",
        "v3  verdict errors: Fail, 22% (stable 0%)",
        "v3  users   the first one was harmed",
    ]


def test_the_plain_screen_breaks_a_long_silence(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    screen.show(AT_5)
    capsys.readouterr()
    screen.show(replace(AT_5, elapsed=43.0))
    assert capsys.readouterr().out == ""
    screen.show(replace(AT_5, elapsed=55.0))
    assert "119 requests/s, 5210 users served, 8 harmed, 0 requests failed" in capsys.readouterr().out


def test_no_scene_follows_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    screen.close()
    screen.show(AT_5)
    screen.say("The end.")
    assert capsys.readouterr().out.split(maxsplit=2)[2] == "The end.\n"


def test_the_picture_has_phase_step_weights_verdicts_users_and_events() -> None:
    text = "\n".join(shown(AT_5))
    for told in ("Progressing", "canary 5 %", "95 %", "errors", "Fail", "22%", "0%", "5,210 served", "8 harmed"):
        assert told in text
    assert "StepStarted  canary 5 %" in text


def test_the_picture_keeps_its_height_when_events_come() -> None:
    many = tuple(EventSeen(0.0, "Warning", "RollingBack", "so long " * 40) for _ in range(EVENTS + 3))
    assert len(shown(AT_5)) == len(shown(replace(AT_5, told=many)))


def test_the_picture_of_the_very_beginning_can_be_drawn() -> None:
    assert "starting" in "\n".join(shown(Scene()))


def test_the_live_screen_gives_the_terminal_back() -> None:
    terminal = io.StringIO()
    screen = LiveScreen(Console(file=terminal, force_terminal=True, width=100))
    screen.say("$ kubectl apply")
    screen.show(AT_5)
    screen.close()
    screen.close()
    screen.show(AT_5)  # comes too late
    assert "kubectl apply" in terminal.getvalue()
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")  # the cursor is shown


def test_the_table_has_a_row_for_each_release() -> None:
    console = Console(file=io.StringIO(), width=110)
    console.print(table(report(taken_back())))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    row = next(line for line in lines if line.strip().startswith("v3"))
    assert row.split() == ["v3", "taken", "back", "5", "%", "2", "0", "0", "2.0", "s", "2.2", "s"]


def test_shares_go_by_the_name_of_the_version() -> None:
    names = workloads((AT_5.status,))
    assert by_version({"digits-v2": 95, "digits-v3": 4, "other": 1}, names) == {"v2": 95, "v3": 4, "other": 1}


def test_relative_weights_become_percent() -> None:
    assert percent({"a": 1, "b": 3}) == {"a": 25, "b": 75}
    assert percent({"a": 0}) == {}


def rule(*values: str, header: str = "X-Bucket", **weights: int) -> dict[str, object]:
    """For requests with one of these values, by two paths, if there are any."""
    refs = [{"name": name, "weight": weight} for name, weight in weights.items()]
    paths = [{"path": {"value": path}} for path in ("/a", "/b")] if values else []
    matches = [{**path, "headers": [{"name": header, "value": value}]} for path in paths for value in values]
    return {"matches": matches, "backendRefs": refs} if matches else {"backendRefs": refs}


def test_users_who_are_drawn_by_a_bucket_count_as_many_percent_as_their_buckets_are() -> None:
    buckets = Buckets(name="x-bucket", count=4)
    drawn, everybody = rule("0", "1", new=1), rule(old=4, new=0)
    assert shares_of_users([drawn, everybody], buckets) == {"old": 50, "new": 50}
    assert shares_of_users([everybody], buckets) == {"old": 100, "new": 0}
    assert shares_of_users([rule("0", new=1), rule(old=2, new=1)], buckets) == {"old": 50, "new": 50}


def test_those_who_ask_for_a_preview_are_no_share_of_all_users() -> None:
    preview, everybody = rule("1", header="x-preview", new=1), rule(old=1)
    for buckets in (None, Buckets(name="x-bucket", count=4)):
        shares = shares_of_users([preview, everybody], buckets)
        assert (shares["old"], shares.get("new", 0)) == (100, 0)


def test_an_experiment_is_a_step_by_who_meets_it() -> None:
    drawn = status(Phase.PROGRESSING, stable="v1", candidate="v2", weight=0)
    assert drawn.stage is not None
    asked = tuple(f"x-bucket: b{number}" for number in range(50))
    now = drawn.model_copy(update={"stage": drawn.stage.model_copy(update={"name": "experiment", "asked": asked})})
    told = list(differences(Scene(), Scene(status=now)))
    assert told == ["phase   Progressing experiment who asks with x-bucket: one of 50 values"]


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    with claimed(tmp_path, "demo"), pytest.raises(BusyError, match=r"already; --directory"), claimed(tmp_path, "demo"):
        raise AssertionError("the folder was given twice")


def test_a_new_demo_clears_away_what_the_one_before_left(tmp_path: Path) -> None:
    with claimed(tmp_path, "demo"):
        (tmp_path / "logs").mkdir()
        (tmp_path / "report.json").write_text("{}")
        (tmp_path / "mine.txt").write_text("keep")
    with claimed(tmp_path, "demo"):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "mine.txt"]


def test_a_folder_of_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "precious.log").write_text("keep")
    with claimed(tmp_path, "demo"):
        assert (tmp_path / "logs" / "precious.log").exists()
