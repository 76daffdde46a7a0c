"""Make, list and revoke API keys."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.errors import (
    InvalidKeySpecError,
    KeyExistsError,
    NoAdminKeyError,
    TooManyKeysError,
    UnknownKeyError,
)
from app.problems import docs
from app.schemas.keys import KeyList, KeyMade, KeyRequest
from app.storage.keys import Keys

router = APIRouter(
    prefix="/v1/keys",
    tags=["keys"],
    dependencies=[needs(Role.ADMIN)],
    responses=docs(*ERRORS),
)


def _keys(request: Request) -> Keys:
    """Return the keys of the service."""
    return cast(Keys, request.app.state.keys)


def _unstored(response: Response) -> None:
    """Keep an answer that holds a key's text out of caches."""
    response.headers["Cache-Control"] = "no-store"


KeysDep = Annotated[Keys, Depends(_keys)]


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Depends(_unstored)],
    responses=docs(
        InvalidKeySpecError, KeyExistsError, TooManyKeysError, NoAdminKeyError, body=True
    ),
)
def create(body: KeyRequest, keys: KeysDep, by: ByDep) -> KeyMade:
    """Make a key; its text is in this answer and nowhere else, ever. The first is an admin's."""
    return KeyMade.of_new(keys.create(by, **dict(body)))


@router.get("")
def list_all(keys: KeysDep) -> KeyList:
    """List all keys, the expired and the revoked too; never their text."""
    return KeyList.of(keys.all())


@router.delete(
    "/{id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=docs(UnknownKeyError, NoAdminKeyError),
)
def revoke(
    id: Annotated[str, Path(pattern="^[0-9a-f]{12}$")],
    keys: KeysDep,
    by: ByDep,
    force: Annotated[
        bool, Query(description="Revoke it though no admin key is left that can be used.")
    ] = False,
) -> None:
    """Revoke a key, within a second and for good; again is no error."""
    keys.revoke(by, id, force=force)
