"""The `coach` command as a person runs it: a process of its own, with nothing but its environment."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from adapters.__main__ import FAILED, OK, USAGE, main
from bot.config import settings
from bot.errors import SettingsError

PACKS = Path(__file__).parent / "packs"
Coach = Callable[..., CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path, claims: Path) -> dict[str, str]:
    """An environment of one's own: no settings, an empty home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COACH_", "XDG_"))}
    return kept | {"HOME": str(tmp_path), "COACH_CACHE": str(claims), "PYTHONWARNINGS": "error"}


@pytest.fixture
def coach(home: dict[str, str], tmp_path: Path) -> Coach:
    """Runs `coach` to its end."""

    def run(*arguments: str, said: str | bytes = "", **settings: str) -> CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "adapters", *arguments], input=said.encode() if isinstance(said, str) else said,
            capture_output=True, env=home | settings, cwd=tmp_path, timeout=60, check=False,
        )  # fmt: skip
        return CompletedProcess(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    return run


def _one_sentence(ended: CompletedProcess[str]) -> str:
    """What it said when it failed: one line, no traceback."""
    assert ended.returncode == 1
    assert ended.stderr.startswith("coach: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr


# ---------------------------------------------------------------------------------------------- help and schema


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(f"    {name} " in said for name in ("run", "chat", "check", "grade", "schema"))


def test_help_teaches_how_to_begin_and_what_the_exit_statuses_mean(capsys: pytest.CaptureFixture[str]) -> None:
    """The same three that the document for whoever runs it has, and that the other tests here see."""
    with pytest.raises(SystemExit):
        main(["--help"])

    said = capsys.readouterr().out
    assert "Begin here, in this terminal" in said
    assert all(f"  coach {example}" in said for example in ("chat\n", "run\n", "check my-packs ", "db backup /backups "))
    assert "exit status: 0 done; 1 it failed, and a sentence on standard error says why; 2 wrong usage" in said
    document = (Path(__file__).parents[1] / "docs/operating.md").read_text("utf-8")
    table = document.split("| exit status | meaning |")[1].split("\n\n")[0]
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == [str(OK), str(FAILED), str(USAGE), "130, 143"]


def test_what_a_script_would_want_is_there_as_json(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each word by itself, with the status that it has without."""
    monkeypatch.setenv("COACH_DATABASE", f"sqlite:///{database}")
    told = {}
    for arguments in (
        ["check", str(PACKS / "broken"), "--plain"],
        ["content", "stats", "--folder", str(PACKS / "good")],
        ["dead"],
        ["flags"],
        ["appeals"],
    ):
        status = main([*arguments, "--json"])
        told[arguments[0]] = (status, json.loads(capsys.readouterr().out))

    status, checked = told["check"]
    assert (status, checked["questions"], len(checked["problems"])) == (1, 0, 15)
    status, spread = told["content"]
    assert (status, spread["packs"]["all"]["questions"], spread["packs"]["all"]["levels"]) == (0, 1, [0, 1, 0, 0, 0])
    assert spread["section"] == {"basics": 1}
    assert [told[word] for word in ("dead", "flags", "appeals")] == [(0, [])] * 3
    assert not database.exists()


@pytest.mark.parametrize("arguments", [("nonsense",), ("check", "a", "b"), ("--frobnicate",)])
def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert "usage: coach" in capsys.readouterr().err


def test_schema_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "A topic of interview questions"


def test_a_reader_that_has_seen_enough_is_no_error(home: dict[str, str], tmp_path: Path) -> None:
    """`coach schema | head -1`"""
    with subprocess.Popen(
        [sys.executable, "-m", "adapters", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home, cwd=tmp_path
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(30) == 0


# ---------------------------------------------------------------------------------------------- check


def test_check_passes_a_pack_without_a_fault(coach: Coach) -> None:
    """By words and by the grader that learners meet; `make check` does the same to the packs of the coach."""
    ended = coach("check", str(PACKS / "good"))

    assert ended.stdout == "questions: 1; of the syllabus: 1 of 1; problems: 0\n"
    assert ended.returncode == 0


def test_check_prints_every_problem_and_fails(coach: Coach) -> None:
    ended = coach("check", str(PACKS / "broken"))

    assert ended.returncode == 1
    assert "small/odd.toml: -: colour: unknown field\n" in ended.stdout
    assert "syllabus.toml: median: id: no question with this id\n" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "questions: 0; of the syllabus: 0 of 1; problems: 15"


def test_check_of_a_folder_that_is_not_there(coach: Coach) -> None:
    ended = coach("check", "nowhere")

    assert ended.returncode == 1
    assert ended.stderr == "syllabus.toml: -: -: can't be read: No such file or directory\n"


# ---------------------------------------------------------------------------------------------- grade


def test_grade_answers_line_by_line_in_order_and_says_what_it_cannot_grade(coach: Coach) -> None:
    lines = [
        '{"id": "a", "question_id": "precision", "answer": "precision is TP / (TP + FP)"}',
        "not json",
        '{"id": "b", "question_id": "astrology", "answer": "the stars"}',
        "",
        '{"id": "c", "question_id": "precision"}',
        '{"id": "d", "question_id": "precision", "answer": 7}',
        '["a", "list"]',
        '{"id": "e", "question_id": ["precision"], "answer": "x"}',
        "[" * 5000,
        '{"id": 5, "question_id": "recall", "answer": ""}',
        '{"id": "f", "question_id": "precision", "answer": "\\ud800 precision is TP / (TP + FP) \\u2713"}',
    ]

    ended = coach("grade", said="\n".join(lines).encode() + b'\n{"id": "\xff"}\n')

    graded = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [one["id"] for one in graded] == ["a", 5, "f"]
    assert graded[0]["score"] > graded[1]["score"] == 0
    assert set(graded[0]) == {"id", "score", "verdicts", "misconceptions", "graded_by"}
    assert all(set(verdict) == {"point", "verdict", "quote"} for verdict in graded[0]["verdicts"])
    quotes = [verdict["quote"] for verdict in graded[0]["verdicts"] if verdict["quote"]]
    assert quotes
    assert all(quote in "precision is TP / (TP + FP)" for quote in quotes)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "coach: line 2: is not JSON",
        "coach: line 3: there is no question 'astrology'",
        "coach: line 5: is not an object with id, question_id and answer",
        "coach: line 6: is not an object with id, question_id and answer",
        "coach: line 7: is not an object with id, question_id and answer",
        "coach: line 8: there is no question ['precision']",
        "coach: line 9: is not JSON",
        "coach: line 12: is not JSON",
    ]


def test_grade_answers_each_line_before_the_next_one_is_written(home: dict[str, str], tmp_path: Path) -> None:
    """It streams: a program may hold a conversation with it."""
    with subprocess.Popen(
        [sys.executable, "-m", "adapters", "grade"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=home, cwd=tmp_path, text=True
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for number in range(3):
            running.stdin.write(json.dumps({"id": number, "question_id": "recall", "answer": "TP / (TP + FN)"}) + "\n")
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["id"] == number
        running.stdin.close()
        assert running.wait(30) == 0


# ---------------------------------------------------------------------------------------------- chat


@pytest.mark.parametrize("command", ["chat", "run"])
def test_a_conversation_through_a_pipe(coach: Coach, tmp_path: Path, command: str) -> None:
    """Numbers press buttons; the same folder remembers."""
    said = "1\n1\n1\n/next precision\nprecision is TP / (TP + FP): what we flagged that really is positive\n/quit\n"

    first = coach(command, said=said, COACH_DATABASE=f"sqlite:///{tmp_path}/deep/er/coach.db")
    again = coach(command, said="/streak\n", COACH_DATABASE=f"sqlite:///{tmp_path}/deep/er/coach.db")

    assert first.returncode == again.returncode == 0
    assert first.stderr == again.stderr == ""
    assert "I am your interview coach" in first.stdout
    assert "/100 · Precision" in first.stdout
    assert "\x1b" not in first.stdout
    assert "I am your interview coach" not in again.stdout
    assert "1 day in a row" in again.stdout
    assert again.stdout.endswith("Goodbye. Everything is kept.\n")


def test_whoever_the_settings_name_sees_how_the_coach_is(coach: Coach) -> None:
    ended = coach("chat", said="/admin\n/quit\n", COACH_OWNERS="telegram:1, console:you")

    assert "Replies today: 0" in ended.stdout
    assert "I don't know /admin" not in ended.stdout


def test_the_data_lies_in_the_users_data_folder(coach: Coach, tmp_path: Path) -> None:
    coach("chat", COACH_CACHE="", XDG_DATA_HOME=str(tmp_path / "data"), XDG_CACHE_HOME=str(tmp_path / "cache"))

    assert (tmp_path / "data/interview-coach/coach.db").is_file()
    assert len(list((tmp_path / "cache/interview-coach").glob("content-*.json"))) == 1


def test_input_that_is_not_utf_8_and_a_terminal_that_cannot_show_it(coach: Coach) -> None:
    ended = coach("chat", said=b"\xff\xfe\n/help\n", PYTHONIOENCODING="ascii")

    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr


# ---------------------------------------------------------------------------------------------- what can't be used


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "COACH_DATABASE is not a database URL"),
        ("oracle://secret:word@host/coach", "the database can't be used"),
        ("postgresql://me:word@127.0.0.1:1/coach", "the database can't be used"),
        ("sqlite:////", "the database can't be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_sentence(coach: Coach, url: str, sentence: str) -> None:
    said = _one_sentence(coach("chat", COACH_DATABASE=url))

    assert sentence in said
    assert "word" not in said


def test_a_file_that_is_no_database_is_one_sentence(coach: Coach, tmp_path: Path) -> None:
    (tmp_path / "coach.db").write_text("a shopping list, and a rather long one at that" * 30, "utf-8")

    assert "the database can't be used: file is not a database" in _one_sentence(
        coach("chat", COACH_DATABASE=f"sqlite:///{tmp_path}/coach.db")
    )


def test_a_database_of_a_later_version_is_refused_and_left_as_it_is(coach: Coach, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/coach.db"
    coach("chat", COACH_DATABASE=url)
    with sqlite3.connect(tmp_path / "coach.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    said = _one_sentence(coach("chat", COACH_DATABASE=url))

    assert "written by a later version of the coach" in said
    with sqlite3.connect(tmp_path / "coach.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


def test_a_folder_that_cannot_be_made_is_one_sentence(coach: Coach, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")

    assert "the folder of the database can't be" in _one_sentence(coach("chat", COACH_DATABASE=f"sqlite:///{tmp_path}/file/coach.db"))


def test_a_folder_that_may_not_be_written_is_one_sentence(coach: Coach, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this account may write everywhere")

    assert "the folder of the database can't be" in _one_sentence(coach("chat", COACH_DATABASE=f"sqlite:///{folder}/coach.db"))


def test_a_setting_that_cannot_be_used_is_one_sentence(coach: Coach) -> None:
    assert "COACH_PORT: " in _one_sentence(coach("chat", COACH_PORT="-1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("COACH_PORT", "70000"), ("COACH_LOG", "loud"), ("COACH_TELEGRAM_API", "ftp://x"), ("COACH_LOG_JSON", "perhaps")],
)
def test_a_setting_that_cannot_be_used_is_told_by_name_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as caught:
        settings()

    assert str(caught.value).startswith(f"{name}: ")
    assert value not in str(caught.value)


@pytest.fixture
def one_running(home: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """A coach that runs already; gives the URL of its database."""
    url = f"sqlite:///{tmp_path}/coach.db"
    with subprocess.Popen(
        [sys.executable, "-m", "adapters", "chat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=home | {"COACH_DATABASE": url}, cwd=tmp_path,
    ) as running:  # fmt: skip
        assert running.stdin is not None
        assert running.stdout is not None
        while b"I am your interview coach" not in running.stdout.readline():
            pass
        yield url
        running.stdin.close()
        running.stdout.read()
        assert running.wait(30) == 0


def test_a_second_coach_on_one_database_is_refused(coach: Coach, one_running: str) -> None:
    said = _one_sentence(coach("chat", COACH_DATABASE=one_running))

    assert "another coach is using" in said
    assert "coach.db;" in said
