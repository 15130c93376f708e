"""What MkDocs cannot do by itself: pages of the API reference, and links to files outside docs/.

The pages link to files of the repository by relative paths, so that they can be read without the site. The site
carries a copy of each linked file under `repository/`. The reference has a page for each room of libraries and one for
the programs of each package; a new room gets its page without being named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("jobs", "models", "expectations")
TO_A_FILE = re.compile(r"(?<=\]\()\.\./([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the reference to the navigation."""
    assert config.nav is not None
    reference = [{package: [{name: path} for name, path, _ in pages_of(package)]} for package in PACKAGES]
    config.nav.append({"Reference": reference})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the reference, and the files of the repository that pages link to."""
    for package in PACKAGES:
        for _, path, content in pages_of(package):
            files.append(File.generated(config, path, content=content))
    linked = {target for page in files.documentation_pages() for target in TO_A_FILE.findall(page.content_string)}
    for target in sorted(linked):
        source = REPOSITORY / target
        if source.is_file():
            files.append(File.generated(config, copy_of(target), abs_src_path=str(source)))
        elif not source.is_dir():
            raise PluginError(f"A page links to {target}, which is not in the repository")
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links to files of the repository at their copies; of a folder, written with a slash, the name stays."""
    if page.file.generated_by:
        return markdown
    without_folders = re.sub(r"\[([^\]]+)\]\(\.\./([^)]*/)\)", r"\1", markdown)
    return TO_A_FILE.sub(lambda found: copy_of(found[1]), without_folders)


def copy_of(target: str) -> str:
    """Returns where the site keeps a file; code and settings become plain text, which a browser shows."""
    path = PurePosixPath("repository", target)
    return str(path if path.suffix in {".svg", ".png"} else path.with_name(f"{path.name}.txt"))


def pages_of(package: str) -> Iterator[tuple[str, str, str]]:
    """Yields title, path and text of each reference page of a package."""
    folder = REPOSITORY / package
    programs = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    yield "programs", f"reference/{package}.md", text(f"Programs of {package}", [f"{package}.{p}" for p in programs])
    for room in sorted(path.parent.name for path in folder.glob("*/__init__.py")):
        yield room, f"reference/{package}.{room}.md", text(f"{package}.{room}", [f"{package}.{room}"])


def text(title: str, modules: list[str]) -> str:
    """Returns a page that asks mkdocstrings for some modules."""
    return f"# {title}\n\n" + "\n\n".join(f"::: {module}" for module in modules) + "\n"
