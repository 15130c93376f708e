"""A Python that has imported the libraries already, for all the programs of a night on one machine.

TensorFlow, Keras, MLflow, PySpark and Great Expectations take a program up to ten seconds to import, and a night has
some forty programs. Here one process imports them once; each program is a fork of it, which shares that memory and
nothing else: arguments, environment, folder and streams are those of whoever started `python -m …`, and a program whose
caller is killed ends with all of its children. The first programs of a night need few of the libraries, and do not wait
for the others: a process that has those few serves until its successor has them all.

Only Linux forks such a process safely; elsewhere each program imports for itself.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

CLIENT = Path(__file__).with_name("preloaded_client.py")
FIRST_LIBRARIES = (
    "pandas",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "scipy.sparse.linalg",
    "deltalake",
    "pyspark.sql",
)
"""A second or two. None of these and of the others may leave a thread running when it is imported: a fork would be
without it. A test looks."""
OTHER_LIBRARIES = ("great_expectations", "matplotlib.figure", "mlflow", "keras")
"""Ten seconds and more."""
_PATIENCE_SECONDS = 10


class PreloadedPython:
    """A process that imports the libraries; whoever calls `python` in a folder is led to it. Ends when this one does.

    Attributes:
        folder: its own, which it removes when it ends; the socket is there.
    """

    def __init__(self, calls: Path) -> None:
        """Starts it.

        Args:
            calls: where `python` is to be; the one that is there, of another such process, is replaced.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="python-", dir=calls))
        self.socket = self.folder / "socket"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(self.socket))
        server.listen(64)
        words = shlex.join([sys.executable, "-IS", str(CLIENT), sys.executable, str(self.socket)])
        (self.folder / "python").write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
        (self.folder / "python").chmod(0o700)
        (self.folder / "python").replace(calls / "python")
        reader, self.keeps_server = os.pipe()
        subprocess.Popen(
            [sys.executable, __file__, str(server.fileno()), str(reader), str(self.folder)],
            pass_fds=[server.fileno(), reader],
            # What libraries say when imported is nothing to be told; without them, each program tells for itself.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        server.close()
        os.close(reader)  # its other end is closed by the end of this process, however it ends

    def why_broken(self) -> str | None:
        """Returns what is wrong with it; None where it answers.

        A program leaves nothing in it, so that what is wrong with a program says nothing of it.
        """
        with socket.socket(socket.AF_UNIX) as caller:
            try:
                caller.connect(str(self.socket))
            except OSError as err:
                return f"nobody answers at its socket: {type(err).__name__}: {err}"
        return None

    def end(self) -> None:
        """Leads no program to it any more; those that run go on."""
        os.close(self.keeps_server)
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Request:
    """A program to run.

    Attributes:
        caller: the connection to whoever waits for its exit code.
        streams: standard input, output and error.
    """

    caller: socket.socket
    streams: list[int]
    arguments: list[str]
    environment: dict[str, str]
    folder: str

    @classmethod
    def received(cls, caller: socket.socket) -> Request:
        header, streams, _, _ = socket.recv_fds(caller, 8, 3)
        if not header:
            os._exit(0)  # it only looked whether somebody answers
        with caller.makefile("rb") as stream:
            told: dict[str, Any] = json.loads(stream.read(int.from_bytes(header, "big")))
        return cls(caller, list(streams), **told)


def serve(server: socket.socket, parent: int, folder: str, successor: int | None = None) -> Request:
    """Answers callers until the end of the parent closes `parent`, then removes the folder, where the socket is.

    Returns in each fork, with what it should run.

    Args:
        successor: can be read from once another process serves in place of this one, or once there is none any more.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for programs
    while True:
        ready, _, _ = select.select([server.fileno(), parent, *([] if successor is None else [successor])], [], [])
        if parent in ready:
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)
        if successor in ready:
            if os.read(successor, 1):
                os._exit(0)
            successor = None
            continue
        caller, _ = server.accept()
        if os.fork():
            caller.close()
            continue
        server.close()
        os.close(parent)
        if successor is not None:
            os.close(successor)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        request = Request.received(caller)
        program = os.fork()
        if not program:
            os.setsid()
            caller.close()
            return request
        for stream in request.streams:
            os.close(stream)
        caller.sendall(bytes([exit_code_of(program, caller)]))
        os._exit(0)


def exit_code_of(program: int, caller: socket.socket) -> int:
    """Waits for a program, or ends it with all of its children when its caller is gone."""
    handle = os.pidfd_open(program)
    ready, _, _ = select.select([handle, caller.fileno()], [], [])
    if handle not in ready:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program, signal.SIGTERM)
        if not select.select([handle], [], [], _PATIENCE_SECONDS)[0]:
            os.killpg(program, signal.SIGKILL)
        os.waitpid(program, 0)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    return code if code >= 0 else 128 - code


def run(request: Request) -> None:
    """Becomes the program: what `python -m module arguments` is, in the caller's folder and environment."""
    for number, stream in enumerate(request.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    if request.arguments[:1] != ["-m"]:
        os.execv(sys.executable, [sys.executable, *request.arguments])
    sys.argv = request.arguments[1:]
    sys.path.insert(0, request.folder)
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def end_as(program: Callable[[], None]) -> NoReturn:
    """Runs a program and ends with its exit code, as Python does, but for taking apart what the libraries built up.

    That takes seconds and changes nothing.
    """
    code = 0
    try:
        program()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 0xFF)


def main() -> None:
    """Imports, then serves; a fork of it ends as its program does."""
    server, parent, folder = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
    del sys.path[0]  # this file's folder is on no program's path
    for library in FIRST_LIBRARIES:
        importlib.import_module(library)
    successor, is_ready = os.pipe()
    if os.fork():
        os.close(is_ready)
        end_as(lambda: run(serve(server, parent, folder, successor)))
    os.close(successor)
    for library in OTHER_LIBRARIES:
        importlib.import_module(library)
    with contextlib.suppress(BrokenPipeError):  # the other one was killed
        os.write(is_ready, b"1")
    os.close(is_ready)
    end_as(lambda: run(serve(server, parent, folder)))


if __name__ == "__main__":
    main()
