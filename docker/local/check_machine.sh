#!/usr/bin/env bash
# Says in one line each what this machine lacks, before anything is installed. Prints the Python to use.
set -u

fail() { echo "ERROR $*" >&2; missing=1; }
missing=0

python=""
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    # TensorFlow has no build for Python 3.14 yet.
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python="$(command -v "$candidate")"
        break
    fi
done
if [ -z "$python" ]; then
    found="$({ "${PYTHON:-python3}" --version; } 2>/dev/null)"
    fail "Python 3.11, 3.12 or 3.13 is needed; found: ${found:-none}." \
        "Get it: 'apt install python3.11 python3.11-venv', 'brew install python@3.11' or python.org; or set PYTHON=/path/to/it."
fi

java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
version="$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9][0-9]*\).*/\1/p' | head -1)"
if [ -z "$version" ] || [ "$version" -lt 17 ]; then
    fail "Java 17 or newer is needed for Spark; found: ${version:-none} ($java)." \
        "Get it: 'apt install openjdk-17-jre-headless', 'brew install openjdk@17' or adoptium.net; or set JAVA_HOME to it."
fi

[ "$missing" -eq 0 ] && echo "$python"
exit "$missing"
