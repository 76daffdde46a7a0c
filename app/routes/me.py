"""Who asks: what a page needs to offer only what its key may do."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.access.identity import Identity
from app.problems import docs
from app.schemas.keys import Me

router = APIRouter(
    prefix="/v1/me", tags=["keys"], dependencies=[needs(Role.SCORE)], responses=docs(*ERRORS)
)


async def _identity(request: Request) -> Identity:
    """Return who asks."""
    identity: Identity = request.scope["identity"]
    return identity


@router.get("")
async def read(identity: Annotated[Identity, Depends(_identity)]) -> Me:
    """Tell whose key was sent and what it may do, or that none is needed."""
    return Me.of(identity)
