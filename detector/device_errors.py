"""What a failed pass says of the device: out of memory, lost, or nothing."""

from detector.errors import DetectorError, DeviceLostError, DeviceMemoryError

# What torch (CUDA and CPU) and ONNX Runtime say; their types tell less, or nothing.
_NO_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "failed to allocate memory",
    "bad_alloc",
    "bad allocation",
)
# Errors after which CUDA answers every call of the process with the same error.
_LOST = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "misaligned address",
    "unspecified launch failure",
    "launch timed out",
    "uncorrectable ecc error",
    "device lost",
    "gpu is lost",
)


def of_device(error: Exception) -> DetectorError | None:
    """Return what an error says of the device; None if it may be about the samples."""
    said = str(error).lower()
    text = f"{type(error).__name__}: {error}"
    if any(words in said for words in _LOST):
        return DeviceLostError(text)
    if isinstance(error, MemoryError) or any(words in said for words in _NO_MEMORY):
        return DeviceMemoryError(text)
    return None
