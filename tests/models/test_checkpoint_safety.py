"""Weights are data: no code that a file carries ever runs, and what was checked is what loads."""

import ast
import hashlib
import io
import pickle
from pathlib import Path

import pytest
import torch

from models import checkpoints
from models.checkpoints import WeightsError, load_trunk, read_tensors, trunk_file
from models.lite0 import Lite0


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("digest_is_right", [False, True])
def test_pickled_code_never_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest_is_right: bool
) -> None:
    """Contract: the digest stops a foreign pickle, and ``weights_only`` would even if it passed."""
    marker, path = tmp_path / "code-ran", tmp_path / "trunk.pth"
    torch.save({"_conv_stem.weight": Malicious(marker)}, path)
    if digest_is_right:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(checkpoints, "TRUNK_SHA256", digest)

    with pytest.raises(pickle.UnpicklingError if digest_is_right else WeightsError):
        load_trunk(Lite0(), path)

    assert not marker.exists()
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    assert marker.exists(), "the file was not dangerous after all"


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_pickled_code_in_a_user_s_file_never_runs(tmp_path: Path, suffix: str) -> None:
    """Contract: a user's file is no more trusted than a package's."""
    marker, path = tmp_path / "code-ran", tmp_path / f"network{suffix}"
    torch.save({"conv_stem.weight": Malicious(marker)}, path)

    with pytest.raises(WeightsError, match=rf"network\{suffix} holds no plain tensors"):
        read_tensors(path)

    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the file was not dangerous after all"


def test_the_bytes_that_were_checked_are_those_that_load(
    trunk: Lite0, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a file swapped right after its check is not read again."""
    copy = tmp_path / "trunk.pth"
    copy.write_bytes(trunk_file().read_bytes())
    check = checkpoints.read_checked

    def check_then_swap(path: Path, sha256: str) -> bytes:
        content = check(path, sha256)
        copy.write_bytes(b"something else")
        return content

    monkeypatch.setattr(checkpoints, "read_checked", check_then_swap)
    network = Lite0()

    load_trunk(network, copy)

    for name, value in trunk.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_every_load_in_the_sources_is_weights_only() -> None:
    """Contract: no module of ``models`` unpickles code."""
    loads = 0
    for file in sorted(Path(checkpoints.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.Import) and node.names[0].name == "pickle"), file
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert options.get("weights_only") == "True", f"{file}:{node.lineno}"
                loads += 1
    assert loads == 3
