"""What the code may look like and who may know whom: rules that are checked, not remembered."""

import ast
import configparser
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "detector", "gatewatch", "models")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
ROUTES = sorted((ROOT / "app" / "routes").glob("*.py"))
LONGEST = 300
Function = ast.FunctionDef | ast.AsyncFunctionDef
LOGIC = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Try,
    ast.TryStar,
    ast.With,
    ast.AsyncWith,
    ast.Raise,
    ast.Match,
    ast.Lambda,
)


def name(path: Path) -> str:
    """Return a file's path in the repository."""
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield every function at any depth."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def is_stream(node: ast.AST) -> bool:
    """Return whether a statement only hands on what another part yields, as it comes."""
    return (
        isinstance(node, ast.AsyncFor)
        and not node.orelse
        and [type(inner) for inner in node.body] == [ast.Expr]
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Yield)
        and ast.unparse(node.body[0].value.value or node) == ast.unparse(node.target)
    )


def imports(tree: ast.AST) -> set[str]:
    """Return the modules that a file imports, anywhere in it, with their members."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def of(module: str, found: set[str]) -> set[str]:
    """Return the imports that are this module or below it."""
    return {one for one in found if one == module or one.startswith(f"{module}.")}


def test_there_is_something_to_check() -> None:
    """Contract: the rules below would pass on an empty tree."""
    assert len(FILES) > 30
    assert len(ROUTES) > 4


@pytest.mark.parametrize("path", ROUTES, ids=name)
def test_routes_hold_no_logic(path: Path) -> None:
    """Contract: a route says what it takes and gives; a docstring and two statements at most.

    A stream of events may be handed on as it comes.
    """
    tree = ast.parse(path.read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, LOGIC)]
    logic = [node.lineno for node in found if not is_stream(node)]
    assert not logic, f"{path}: logic in line(s) {logic}"
    for function in functions(tree):
        assert ast.get_docstring(function), f"{path}: {function.name} has no docstring"
        assert len(function.body) <= 3, f"{path}: {function.name} has a long body"
        assert function.returns is not None, f"{path}: {function.name} does not say what it gives"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_stay_short(path: Path) -> None:
    """Contract: what does not fit one responsibility goes elsewhere."""
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_is_public_is_documented(path: Path) -> None:
    """Contract: modules, classes, functions and methods whose names do not begin with _."""
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module does not say what it is for"
    scopes: list[ast.Module | ast.ClassDef] = [tree]
    while scopes:
        scope = scopes.pop()
        for node in scope.body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{node.name} (line {node.lineno})"
                if isinstance(node, ast.ClassDef):
                    scopes.append(node)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_unpickled(path: Path) -> None:
    """Contract: files of strangers are data; torch reads weights only, NumPy no objects."""
    tree = ast.parse(path.read_text())
    for module in ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"):
        assert not of(module, imports(tree))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if ast.unparse(call.func) == "torch.load":
            options = {option.arg: ast.unparse(option.value) for option in call.keywords}
            assert options.get("weights_only") == "True"
        assert "allow_pickle" not in {option.arg for option in call.keywords}
        assert ast.unparse(call.func) not in {"eval", "exec"}


DRIVERS = {"detector/adapt.py", "detector/embedder.py", "detector/peers.py"}
"""The only files outside models that drive a network, but for the kinds."""
KINDS = ROOT / "detector" / "kinds"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_torch_and_networks_stay_below(path: Path) -> None:
    """Contract: only models and those that drive a network know tensors."""
    found = imports(ast.parse(path.read_text()))
    below = path.is_relative_to(ROOT / "models") or path.is_relative_to(KINDS)
    below = below or name(path) in DRIVERS
    assert below or not of("torch", found) | of("models", found)
    if path.is_relative_to(ROOT / "models"):
        assert not of("app", found) | of("detector", found)
    if path.is_relative_to(ROOT / "detector"):
        assert not of("app", found)


def test_import_contracts_hold() -> None:
    """Contract: the layers of pyproject.toml, also through what is imported indirectly."""
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


def test_import_contracts_can_be_broken(tmp_path: Path) -> None:
    """Contract: the check fails where a layer reaches up, so that its silence means something."""
    for package, content in (("upper", ""), ("lower", "import upper\n")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(content)
    config = configparser.ConfigParser()
    config["importlinter"] = {"root_packages": "\nupper\nlower"}
    config["importlinter:contract:layers"] = {
        "name": "layers",
        "type": "layers",
        "layers": "\nupper\nlower",
    }
    with (tmp_path / ".importlinter").open("w") as file:
        config.write(file)
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0
    assert "lower is not allowed to import upper" in done.stdout


def test_names_of_test_files_are_unique() -> None:
    """Contract: tests are no packages, so that two files of one name would be one module."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert len(names) == len(set(names))
    assert not list((ROOT / "tests").rglob("__init__.py"))
