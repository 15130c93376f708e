#!/usr/bin/env bash
# Apache Arrow's `utf8_normalize` leaves a letter and its accent apart, or takes them apart, where it is asked for NFC.
#
# Who makes one id of two ways to write it, as shops must whose customers type their names on a Mac and on a phone, gets
# the decomposed form: it joins with itself, but with no id that Python, Spark or a database composed. NFKC is worse: text
# that is composed already comes out decomposed. Nightjar composes ids by Python's `unicodedata`
# (jobs/raw/reading/cells.py; tests/jobs/raw/reading/test_csv_rows.py, test_an_id_keeps_its_identity).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==25.0.1

"$folder/venv/bin/python" - <<'PYTHON'
import sys
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

texts = ["cafe\u0301", "caf\u00e9"]
differs = []
print(f"pyarrow {pa.__version__}; the input: {list(map(ascii, texts))}")
for form in ("NFC", "NFD", "NFKC", "NFKD"):
    expected = [unicodedata.normalize(form, text) for text in texts]
    seen = pc.utf8_normalize(pa.array(texts), form=form).to_pylist()
    print(f"{form}: expected, by the Unicode standard, {list(map(ascii, expected))}; seen {list(map(ascii, seen))}")
    if seen != expected:
        differs.append(form)
print(f"other than the standard: {differs}")
sys.exit(0 if differs == ["NFC", "NFKC"] else 1)
PYTHON
