"""Questions at a terminal: answers by word or number, again where they are none of the options."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.raw.drafting.questions import Answer, AtTerminal, Silent


def terminal(*typed: str) -> tuple[AtTerminal, list[str]]:
    answers: Iterator[str] = iter(typed)
    said: list[str] = []

    def read(prompt: str) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise EOFError from None

    return AtTerminal(read, said.append), said


def test_a_number_a_word_and_its_beginning_are_answers() -> None:
    asker, _ = terminal("2", "click", "pur")
    options = ("view", "click", "purchase")
    answers = [asker.ask("What?", "view", options).text for _ in range(3)]
    assert answers == ["click", "click", "purchase"]


def test_an_answer_that_is_none_is_asked_for_again() -> None:
    asker, said = terminal("9", "c", "", "Berlin", "Europe/Berlin")
    assert asker.ask("What?", "view", ("view", "cart", "click")) == Answer("view", is_guess=False)
    assert any("Type one of these" in line for line in said)
    problem = asker.ask("Zone?", "UTC", problem=lambda text: "" if "/" in text else "must be a region")
    assert problem == Answer("Europe/Berlin", is_guess=False)
    assert "  must be a region" in said


def test_nobody_who_answers_leaves_a_guess() -> None:
    asker, _ = terminal()
    assert asker.ask("What?", "view", ("view",)) == Answer("view", is_guess=True) == Silent().ask("What?", "view")
