"""The settings: name, default and sentence of each, from the class that reads them."""

from pydantic.fields import FieldInfo

from app.settings import PREFIX, Settings
from reference.markdown import code, table, text

INTRODUCTION = """# Settings

Environment variables that `gatewatch serve` and the commands read; one that is misspelt is
refused at start.
"""


def page() -> str:
    """Return the page."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return f"{INTRODUCTION}\n{table(['variable', 'default', 'meaning'], rows)}"


def _row(name: str, field: FieldInfo) -> list[str]:
    default = "unset" if field.default is None else code(field.default)
    variable = f"{PREFIX}{name}".upper()
    return [f'<a id="{variable}"></a>{code(variable)}', default, text(field.description)]
