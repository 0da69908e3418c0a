"""A private folder that holds exactly the checked files of a source, and nothing else.

Exporters read the staged folder, never the source: what was not checked cannot be picked up by a
library that looks for more files than we listed.
"""

import os
import shutil
from pathlib import Path

from sealift.bundler.source import SourceTree

__all__ = ["copy_papers", "stage"]

_PAPERS = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*", "README.md")


def stage(tree: SourceTree, out: Path) -> None:
    """Put each checked file into an empty folder: a hard link where possible, else a copy."""
    for file in tree.files:
        target = out / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        # A hub snapshot is made of links into its cache; tools must see plain files.
        original = (tree.root / file.path).resolve()
        try:
            os.link(original, target)
        except OSError:
            shutil.copyfile(original, target)


def copy_papers(staged: Path, out: Path) -> None:
    """Copy licence, notices and model card beside the variants: they travel with the weights."""
    for pattern in _PAPERS:
        for path in sorted(staged.glob(pattern)):
            if path.is_file():
                shutil.copyfile(path, out / path.name)
