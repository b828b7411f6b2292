"""What is in use until it is closed, at the latest at the end of a `with` block."""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar, Generic, TypeVar

from remuda._errors import InputError

Own = TypeVar("Own", bound="Closing")
Inner = TypeVar("Inner")


class Closing:
    """Something that can be closed."""

    def close(self) -> None:
        """Lets go of what it holds; more than once does no harm."""
        raise NotImplementedError

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Holding(Closing, Generic[Inner]):
    """Something that holds one thing of the compiled core."""

    _name: ClassVar[str]
    _core: Inner | None

    def close(self) -> None:
        """Frees the memory once what runs has ended; more than once does no harm. Results stay valid."""
        self._core = None

    def _open(self) -> Inner:
        if self._core is None:
            raise InputError(f"the {self._name} is closed")
        return self._core
