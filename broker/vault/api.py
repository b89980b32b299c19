"""Credentials over HTTP: they go in, and never come out."""

from typing import Annotated

from fastapi import APIRouter, Depends, status
from pydantic import BaseModel, ConfigDict, Field

from broker.identities.access import PlantAccess
from broker.identities.model import Principal
from broker.kernel.sensitivity import SecretText
from broker.vault.model import CredentialKind, CredentialState
from broker.vault.service import VaultService


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CredentialRequest(_Schema):
    """A secret for an account of a target."""

    account: str = Field(min_length=1, max_length=64)
    kind: CredentialKind
    secret: str = Field(min_length=1, max_length=16384, repr=False)


class CredentialAnswer(_Schema):
    """That a secret is held."""

    id: str


class CredentialStateAnswer(_Schema):
    """Whether an account has a credential: `detached` when address or key were changed since it was stored."""

    account: str
    state: CredentialState


class CredentialStateList(_Schema):
    """Every account of a target."""

    items: list[CredentialStateAnswer]


def plant_router(service: VaultService, access: PlantAccess) -> APIRouter:
    """The console's route `/targets/{id}/credentials`."""
    router = APIRouter(tags=["vault"])

    @router.get(
        "/targets/{target_id}/credentials",
        operation_id="list_credential_states",
        dependencies=[Depends(access.requires("targets.target.read"))],
    )
    def list_credential_states(target_id: str) -> CredentialStateList:
        """Which accounts have a credential that opens; never one itself."""
        states = service.states(target_id)
        return CredentialStateList(items=[CredentialStateAnswer(account=name, state=state) for name, state in states])

    @router.post("/targets/{target_id}/credentials", operation_id="put_credential", status_code=status.HTTP_201_CREATED)
    def put_credential(
        target_id: str,
        body: CredentialRequest,
        principal: Annotated[Principal, Depends(access.requires("vault.credential.put"))],
    ) -> CredentialAnswer:
        credential = service.put_credential(
            principal.person_id, target_id, body.account, body.kind, SecretText(body.secret)
        )
        return CredentialAnswer(id=credential.id)

    return router
