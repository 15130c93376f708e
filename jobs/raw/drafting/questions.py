"""What a file does not tell, asked of whoever sits at the terminal; without one the likeliest answer is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """What was chosen.

    Attributes:
        is_guess: nobody said so.
    """

    text: str
    is_guess: bool


class Asker(Protocol):
    """Answers what cannot be known from files."""

    def ask(
        self, question: str, likeliest: str, options: Sequence[str] = (), problem: Callable[[str], str] | None = None
    ) -> Answer:
        """Returns one of `options`; any text where there are none.

        Args:
            question: in words, with a sign of interrogation.
            likeliest: what is taken when nobody answers.
            problem: says what is wrong with an answer; an empty text says nothing.
        """
        ...


class Silent:
    """Takes the likeliest answer, as a guess."""

    def ask(
        self, question: str, likeliest: str, options: Sequence[str] = (), problem: Callable[[str], str] | None = None
    ) -> Answer:
        return Answer(likeliest, is_guess=True)


@dataclass(frozen=True)
class AtTerminal:
    """Asks whoever sits there, again where an answer is none of the options.

    Attributes:
        read: shows a prompt and returns the line that is typed; raises EOFError when there will be none.
        say: prints a line.
    """

    read: Callable[[str], str]
    say: Callable[[str], None]

    def ask(
        self, question: str, likeliest: str, options: Sequence[str] = (), problem: Callable[[str], str] | None = None
    ) -> Answer:
        self.say(question)
        for number, option in enumerate(options, 1):
            self.say(f"  {number}  {option}")
        while True:
            try:
                typed = self.read(f"  [{likeliest}] ").strip()
            except EOFError:
                return Answer(likeliest, is_guess=True)
            if not typed:
                return Answer(likeliest, is_guess=False)
            if not options and problem is not None and (wrong := problem(typed)):
                self.say(f"  {wrong}")
                continue
            if not options or typed in options:
                return Answer(typed, is_guess=False)
            if typed.isdigit() and 1 <= int(typed) <= len(options):
                return Answer(options[int(typed) - 1], is_guess=False)
            alike = [option for option in options if option.casefold().startswith(typed.casefold())]
            if len(alike) == 1:
                return Answer(alike[0], is_guess=False)
            self.say(f"  Type one of these, or its number: {', '.join(options)}")
