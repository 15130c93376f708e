"""The `python` of a night on one machine: hands its arguments to `preloaded_python`, and ends as the program ends.

What it prints, and where it reads from, are the caller's own streams. Runs without any import of ours or of others, in
some hundredths of a second; where nobody answers, it becomes the Python that the socket stands beside.
"""

import json
import os
import socket
import sys

PYTHON, SOCKET = sys.argv[1:3]
ARGUMENTS = sys.argv[3:]


def main() -> int:
    """Returns the exit code of the program."""
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(SOCKET)
        except OSError:
            os.execv(PYTHON, [PYTHON, *ARGUMENTS])
        request = {"arguments": ARGUMENTS, "environment": dict(os.environ), "folder": os.getcwd()}
        message = json.dumps(request).encode()
        try:
            socket.send_fds(server, [len(message).to_bytes(8, "big")], [0, 1, 2])
            server.sendall(message)
            answer = server.recv(1)
        except ConnectionError:
            answer = b""
    # An answer that does not come: whoever ran the program was killed, and so was the program.
    return answer[0] if answer else 137


if __name__ == "__main__":
    sys.exit(main())
