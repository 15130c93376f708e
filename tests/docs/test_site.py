"""The documents build into a site without a warning, and their links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from expectations.runtime.code_version import REPOSITORY
from tests.docs.pages import FENCED, PAGES

LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    pages = ["index", "own_shop", "configuration", "results", "glossary", "reference/models.policies", "reference/jobs"]
    assert [page for page in pages if not (tmp_path / f"{page}.html").is_file()] == []
    text = (tmp_path / "index.html").read_text("utf-8")
    assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(https?://[^"]*)', text) == []
    assert "SlateTrainer" in (tmp_path / "reference" / "models.policies.html").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = [_slug(heading) for heading in HEADING.findall(FENCED.sub("", path.read_text("utf-8")))]
            assert anchor in headings, f"{page.name} links to {target}#{anchor}"


def _slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MkDocs make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_readme_stays_short() -> None:
    assert len((REPOSITORY / "README.md").read_text("utf-8").splitlines()) <= 200
