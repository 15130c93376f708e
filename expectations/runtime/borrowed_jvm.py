"""Borrows the JVM for Spark from whoever keeps one warm on this machine, and gives it back well, or not at all.

The lender (docker/local/speedups) listens on a socket of this machine. It lends its JVM to one program at a time, for
as long as the connection lasts. A program that has ended as it should says so; where the connection ends without that
word, the program was killed or failed in the JVM, and the lender starts another one for the next program.
"""

from __future__ import annotations

import json
import socket

GIVEN_BACK = b"well"
_ANSWERS_WITHIN_SECONDS = 300
"""It may have to start one first, or to find that the one that runs does not answer."""
_loans: list[socket.socket] = []
"""Of this process: none or one."""


def borrow(lender: str | None) -> dict[str, str]:
    """Returns the variables by which PySpark finds the JVM; none where nobody has one to lend now.

    Args:
        lender: the path of its socket.
    """
    if not lender:
        return {}
    loan = socket.socket(socket.AF_UNIX)
    loan.settimeout(_ANSWERS_WITHIN_SECONDS)
    try:
        loan.connect(lender)
        with loan.makefile("r", encoding="utf-8") as answer:
            variables: dict[str, str] = json.loads(answer.readline() or "{}")
    except OSError:
        variables = {}
    if variables:
        _loans.append(loan)
    else:
        loan.close()
    return variables


def give_back() -> None:
    """Ends the loan of this process, if it has one: nothing went wrong in the JVM."""
    while _loans:
        with _loans.pop() as loan:
            try:
                loan.sendall(GIVEN_BACK)
            except OSError:
                continue  # the lender has ended, and so has its JVM
