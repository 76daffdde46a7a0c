"""Tells MkDocs of the pages that are made from the code: none of them lies in the repository."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from reference import PAGES


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to those that lie in `docs/`."""
    for path, make in PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files
