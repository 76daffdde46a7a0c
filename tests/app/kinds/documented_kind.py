"""The kind that docs/adding-a-kind.md adds, as it stands there."""

import importlib.util
import re
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from detector.kinds import LearnedKind

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-kind.md"


@cache
def documented_kind() -> LearnedKind[Any, Any]:
    """Return the kind of the page's file."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, "the page shows no file"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series.py"
        path.write_text(found.group(1))
        spec = importlib.util.spec_from_file_location("series", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["series"] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    kind: LearnedKind[Any, Any] = module.KIND
    return kind
