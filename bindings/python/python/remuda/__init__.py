"""One inference runtime for any hardware.

>>> import remuda
>>> session = remuda.InferenceSession("model.onnx")  # doctest: +SKIP
>>> session.run(None, {"x": array})  # doctest: +SKIP
"""

from remuda._chat import ChatTemplate
from remuda._core import NodeArg, Tensor, Tokenizer, build_info
from remuda._embedder import Embedder
from remuda._errors import (
    Cancelled,
    Error,
    InputError,
    InternalError,
    ModelFormatError,
    OutOfMemory,
    PlacementError,
    ResourceError,
    UnsupportedError,
)
from remuda._language import Model, Stream
from remuda._llama import Llama
from remuda._session import (
    InferenceSession,
    Runtime,
    SessionOptions,
    get_available_providers,
)

__version__: str = build_info()["version"]

__all__ = [
    "Cancelled",
    "ChatTemplate",
    "Embedder",
    "Error",
    "InferenceSession",
    "InputError",
    "InternalError",
    "Llama",
    "Model",
    "ModelFormatError",
    "NodeArg",
    "OutOfMemory",
    "PlacementError",
    "ResourceError",
    "Runtime",
    "SessionOptions",
    "Stream",
    "Tensor",
    "Tokenizer",
    "UnsupportedError",
    "__version__",
    "build_info",
    "get_available_providers",
]
