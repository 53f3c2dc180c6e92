"""Checks the shape of a release record: anybody who may write Secrets may write one, with anything in it.

Fields of Helm's own structs (pkg/release/v1/release.go, pkg/chart/v2/chart.go), as far as they are read here; what is
beyond them is kept as it is. Go writes what is empty as null, or leaves it out.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import PydanticCustomError

from gitsync.api.fields import first_fault


def _each(model: type[BaseModel]) -> AfterValidator:
    """Each item of a list is of this model; checked up to the first that is not, since all errors of a list as long as
    a record may have would take gigabytes."""

    def check(items: list[Any]) -> list[Any]:
        for number, item in enumerate(items):
            try:
                model.model_validate(item)
            except ValidationError as error:
                raise PydanticCustomError(
                    "item", "{number}.{fault}", {"number": number, "fault": first_fault(error)}
                ) from None
        return items

    return AfterValidator(check)


_Texts = Annotated[list[str], Field(fail_fast=True)]


class _Metadata(BaseModel):
    name: str | None = None
    version: str | None = None
    appVersion: str | None = None


class _File(BaseModel):
    name: str
    data: str | None = None


class _Chart(BaseModel):
    metadata: _Metadata | None = None
    values: dict[str, Any] | None = None
    files: Annotated[list[Any], _each(_File)] | None = None


class _Run(BaseModel):
    started_at: str | None = None
    completed_at: str | None = None
    phase: str | None = None


class _Hook(BaseModel):
    name: str | None = None
    kind: str | None = None
    path: str | None = None
    manifest: str | None = None
    events: _Texts | None = None
    weight: int | None = None
    delete_policies: _Texts | None = None
    output_log_policies: _Texts | None = None
    last_run: _Run | None = None


class _Info(BaseModel):
    first_deployed: str | None = None
    last_deployed: str | None = None
    deleted: str | None = None
    description: str | None = None
    status: str | None = None
    notes: str | None = None


class _Release(BaseModel):
    name: str
    version: int
    namespace: str | None = None
    info: _Info | None = None
    chart: _Chart | None = None
    config: dict[str, Any] | None = None
    manifest: str | None = None
    hooks: Annotated[list[Any], _each(_Hook)] | None = None
    apply_method: str | None = None


def fault_of(body: Any) -> str:
    """Where and how a record's JSON is not what a record is; "" when it is. Quotes nothing of it."""
    try:
        _Release.model_validate(body)
    except ValidationError as error:
        return first_fault(error)
    return ""
