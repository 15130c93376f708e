"""What an unexpected failure says on its last line: the program, the rule, the root cause's own line, what to do.

The trace of a Spark program holds Java's and Python's, one inside the other; the line that says what happened is seldom
its last one. Signs of what a machine lacks (room, memory, a running JVM) are looked for in what all causes say, so that
each of them has its own rule and remedy, whichever library found it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EXIT_CODE = 70
"""Of a program that ended unexpectedly (EX_SOFTWARE of sysexits.h). Another try may succeed, as after no NightError."""
MAX_CAUSE_LENGTH = 500
_PYTHON_TRACE = "Traceback (most recent call last):"
_DIRECT_CAUSE = "The above exception was the direct cause of the following exception:"
_JAVA_CAUSE = re.compile(r"^\s*Caused by: ", re.MULTILINE)
_SPARK_TASK = re.compile(r"most recent failure: Lost task \S+ in stage \S+ \(TID \d+\) \([^)]*\): ")


@dataclass(frozen=True)
class KnownCause:
    """A reason of the machine's own.

    Attributes:
        sign: what one of the causes says.
        rule: what must hold.
        remedy: what to do where it does not.
    """

    sign: re.Pattern[str]
    rule: str
    remedy: str


KNOWN_CAUSES = (
    KnownCause(
        re.compile(r"No space left on device|Disk quota exceeded|File too large|disk is full"),
        "the disk must have room for what a night writes",
        "Free some, or give NIGHTJAR_ROOT (Spark's own files: SPARK_LOCAL_DIRS) a larger one, then clear the task.",
    ),
    KnownCause(
        re.compile(
            r"Read-only file system|Permission denied|Operation not permitted|Mkdirs failed to create"
            r"|Could not create local directory|unable to open database file|write a readonly database"
        ),
        "what a night writes to must be writable",
        "Mount NIGHTJAR_ROOT for writing, or give it to the user that runs the night, then clear the task.",
    ),
    KnownCause(
        re.compile(r"database (table )?is locked"),
        "MLflow's database must be free to be written",
        "End what holds it, or name a server in MLFLOW_TRACKING_URI, to which many may write at once.",
    ),
    KnownCause(
        re.compile(r"OutOfMemoryError|Cannot allocate memory|MemoryError|Out of memory"),
        "the program must fit into memory",
        "Raise SPARK_DRIVER_MEMORY for Spark's Java, or lower AIRFLOW__CORE__PARALLELISM, then clear the task.",
    ),
    KnownCause(
        re.compile(r"spawn helper|jspawnhelper|posix_spawn failed|Cannot run program"),
        "Spark's Java must be able to start helper processes",
        "Its installation may have changed while it ran: check that `java -version` answers, then clear the task, "
        "which starts a new one.",
    ),
    KnownCause(
        re.compile(
            r"Py4JNetworkError|Answer from Java side is empty|does not exist in the JVM|Java gateway process exited"
        ),
        "Spark's Java must run as long as its program",
        "It ended, or was ended by a system short of memory; clear the task, which starts a new one.",
    ),
    KnownCause(
        re.compile(r"Python worker (exited unexpectedly|failed to connect back)"),
        "Spark's Python workers must live as long as their task",
        "A system short of memory ends them: lower AIRFLOW__CORE__PARALLELISM or the cores of SPARK_MASTER, then clear "
        "the task.",
    ),
)  # fmt: skip
"""Looked through in this order; the first that has its sign in a cause gives its rule and remedy."""
UNKNOWN_CAUSE = KnownCause(
    re.compile(""),
    "the program must end without a fault",
    "The trace is above in the log. Clear the task to try again; if it fails so once more, it is a fault of the code.",
)


def failure_line(program: str, error: BaseException, otherwise: KnownCause = UNKNOWN_CAUSE) -> str:
    """Returns one line: the program, the rule that was broken, what came, what to do.

    Args:
        program: as it is started, such as `jobs.ingest`.
        otherwise: whose rule and remedy it is where neither the error nor a cause of it has a sign of KNOWN_CAUSES.
    """
    said = "\n".join(_own_line(cause) for cause in [*_causes(error), *_handled(error)])
    known = next((known for known in KNOWN_CAUSES if known.sign.search(said)), otherwise)
    return f"{program}: {known.rule}. Received: {root_cause(error)}. {known.remedy}"


def root_cause(error: BaseException) -> str:
    """Returns the root cause's own line, such as `ValueError: bad price`, at most MAX_CAUSE_LENGTH long.

    The root is the last of the causes that `raise … from` names; of an error that holds a trace of Java or of a Python
    worker, the deepest one there. What was being handled when the error came is named after it, since it may be either.
    """
    line = _own_line(_causes(error)[-1])
    handled = [_own_line(cause) for cause in _handled(error)[-1:]]
    if handled and handled != [line]:
        line += f" (while handling {handled[0]})"
    return line if len(line) <= MAX_CAUSE_LENGTH else f"{line[: MAX_CAUSE_LENGTH - 1]}…"


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from, the root last."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and cause not in causes:
        causes.append(cause)
    return causes


def _handled(error: BaseException) -> list[BaseException]:
    """What was being handled when the root cause came, with its causes, the root last; nothing mostly."""
    root = _causes(error)[-1]
    return [] if root.__context__ is None or root.__suppress_context__ else _causes(root.__context__)


def _own_line(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as err:
        # The text of Java's exceptions is asked of the JVM, which may be gone.
        text = f"its text cannot be read, because of {type(err).__name__}: {err}"
    deepest = _JAVA_CAUSE.split(text)[-1]
    if _PYTHON_TRACE in deepest:
        return _line_of_python_trace(deepest)
    if deepest is not text:
        return _first_line(deepest)
    # Py4J says first which call it was, and then `: ` and what Java threw.
    java = next((line[2:] for line in text.splitlines() if line.startswith(": ")), None)
    if java is not None:
        return _SPARK_TASK.split(_first_line(java))[-1]
    return f"{type(error).__name__}: {_first_line(text)}".rstrip(": ")


def _line_of_python_trace(text: str) -> str:
    """The line of the exception that the last one was raised from."""
    before, *traces = text.split(_PYTHON_TRACE)
    root = len(traces) - 1
    while root > 0 and traces[root - 1].rstrip().endswith(_DIRECT_CAUSE):
        root -= 1
    lines = (line for line in traces[root].splitlines() if line and not line[0].isspace())
    return next(lines, _first_line(before))


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
