"""The exceptions of the package: one family, told apart by what the caller can do."""

from __future__ import annotations


class Error(Exception):
    """Whatever goes wrong here. `hint` says what to try, where there is something."""

    code = "error"

    def __init__(self, message: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class ModelFormatError(Error, ValueError):
    """The model is broken: it would be refused by any runtime."""

    code = "model_format"


class UnsupportedError(Error, NotImplementedError):
    """The model or value is valid, but this version cannot handle it."""

    code = "unsupported"


class PlacementError(UnsupportedError):
    """No placement does what is demanded: a contract is broken, or falling back is forbidden."""

    code = "placement"


class InputError(Error, ValueError):
    """What was given does not fit what is expected: names, shapes, types, backends."""

    code = "input"


class ResourceError(Error):
    """Memory, a device or a file does not suffice."""

    code = "resource"


class Cancelled(Error):
    """The run was asked to end."""

    code = "cancelled"


class InternalError(Error):
    """A bug of this project; please report it."""

    code = "internal"


OutOfMemory = ResourceError
