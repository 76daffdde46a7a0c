"""One list of operations for two clients: each gives them its own way of sending.

An operation is a function that makes a request. As an attribute of ``Client`` it becomes a method
that sends it and returns what the answer means; of ``AsyncClient``, one that is awaited (or, for a
list, gone through with ``async for``). The parameters are the function's own in both.
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from gatewatch.calls import Listing, Request, Submission

if TYPE_CHECKING:
    from gatewatch.async_job import AsyncJob
    from gatewatch.asynchronous import AsyncClient
    from gatewatch.job import Job
    from gatewatch.synchronous import Client

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class _Bound:
    """What the three kinds of operations share."""

    way = ""
    """Name of the client's method that sends."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make
        functools.update_wrapper(self, make)  # for help() and signature()

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Make the request and send nothing."""
        return self.make(*arguments, **named)

    def _for(self, client: Any) -> Any:
        send, make = getattr(client, self.way), self.make

        @functools.wraps(make)
        def method(*arguments: Any, **named: Any) -> Any:
            return send(make(*arguments, **named))

        return method


class operation(_Bound, Generic[P, T]):  # noqa: N801  # it is used like property
    """An operation with one answer."""

    way = "send"

    def __init__(self, make: Callable[P, Request[T]]) -> None:
        super().__init__(make)

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: "Client", owner: type[Any]) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type[Any]) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any:
        """Return the method of a client."""
        return self if client is None else self._for(client)


class submission(_Bound, Generic[P, R]):  # noqa: N801
    """An operation that begins a job."""

    way = "submit"

    def __init__(self, make: Callable[P, Submission[R]]) -> None:
        super().__init__(make)

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: "Client", owner: type[Any]) -> "Callable[P, Job[R]]": ...
    @overload
    def __get__(
        self, client: "AsyncClient", owner: type[Any]
    ) -> "Callable[P, Awaitable[AsyncJob[R]]]": ...
    def __get__(self, client: Any, owner: type[Any]) -> Any:
        """Return the method of a client."""
        return self if client is None else self._for(client)


class listing(_Bound, Generic[P, T]):  # noqa: N801
    """An operation whose answer is a list that comes page by page."""

    way = "pages"

    def __init__(self, make: Callable[P, Listing[T]]) -> None:
        super().__init__(make)

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, client: "Client", owner: type[Any]) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: "AsyncClient", owner: type[Any]) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Any, owner: type[Any]) -> Any:
        """Return the method of a client."""
        return self if client is None else self._for(client)
