"""The verbs of the Kubernetes API: get, list, apply, create, replace, patch, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

import tenacity

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import FIELD_MANAGER
from gitsync.cluster.access.tokenaccess import IssuedToken
from gitsync.cluster.discovery import Discovery, Resource
from gitsync.cluster.listing import Selection, read_list
from gitsync.cluster.shape import as_asked_for
from gitsync.cluster.status import Subject
from gitsync.cluster.transport import APPLY_PATCH, Answer, Request, Transport, encode
from gitsync.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    KindUnknown,
    KubeConfigRefused,
    NotFound,
    ServiceAccountMissing,
)

PatchType = Literal["merge", "json", "strategic"]
Propagation = Literal["Background", "Foreground", "Orphan"]
Warn = Callable[[str], None]

#: A resourceVersion that no object has: etcd counts from 1, and its first write makes that 2. An apply with it creates
#: an object that is not there, and is a Conflict with any that is (seen on Kubernetes 1.36, for twelve kinds).
_OF_NONE = "1"

#: Seconds that a token is asked for; it is the least that a new one costs, and what Flux asks for.
TOKEN_LIFETIME = 3600

T = TypeVar("T")

_PATCHES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class Client:
    """The verbs of the Kubernetes API. Objects go in and come out as JSON.

    All raise: KindUnknown (no such API), ApiError subclasses for what the API server says about the object,
    ClusterUnavailable when it cannot be reached or fails on every attempt.
    """

    def __init__(self, transport: Transport, discovery: Discovery) -> None:
        self._transport = transport
        self._discovery = discovery

    async def resource(self, group: str, kind: str, version: str = "") -> Resource:
        """Where a kind is served: its name in paths, and whether it has namespaces; in the version that the server
        prefers, unless ``version`` names one. By the last reading of discovery; a kind that it lacks has it read anew.

        Raises: KindUnknown.
        """
        return await self._discovery.resource(group, kind, version)

    async def get(self, key: ObjectKey, *, version: str = "") -> Manifest:
        """The object as the API server has it now, in the version that it prefers, unless ``version`` names one.

        Raises: NotFound; ``find`` takes that for an answer.
        """
        resource = await self.resource(key.group, key.kind, version)
        subject = Subject("get", str(key), key)
        return await self._object(Request("GET", resource.object(key.namespace, key.name), subject))

    async def find(self, key: ObjectKey, *, version: str = "") -> Manifest | None:
        """As ``get``, but None when there is no such object. A kind that is not served is KindUnknown here, too, since
        it may only be away for the moment (an APIService that is down).
        """
        try:
            return await self.get(key, version=version)
        except NotFound:
            return None

    async def list(
        self, group: str, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> list[Manifest]:
        """All objects of a kind, in one namespace or ("") all; ``labels`` and ``fields`` are selectors as kubectl's."""
        resource = await self.resource(group, kind)
        try:
            found, _ = await read_list(self._transport, Selection(resource, namespace, labels, fields))
        except KindUnknown:
            self._discovery.forget()
            raise
        return found

    async def apply(
        self,
        manifest: Manifest,
        *,
        manager: str,
        force: bool = True,
        dry_run: bool = False,
        new: bool = False,
        repeatable: bool = False,
        subresource: str = "",
        warn: Warn | None = None,
        on_create: Callable[[], None] | None = None,
    ) -> Manifest:
        """Server-side apply: creates the object, or makes the fields it names so and ``manager`` their owner.

        ``force`` takes fields from other managers; without it they are a Conflict with reason FieldManagerConflict.
        ``dry_run`` only says what would come out. ``warn`` is called with each warning of the API server, ``on_create``
        when there was no such object.
        A field that the kind does not have is Invalid, always: fieldValidation has no say in server-side apply.
        When others write at the same moment, the apply is sent again here.

        With ``new`` the object is only created; one that is there is not changed. Raises: AlreadyExists then, and
        perhaps when others write at the same moment. Such an apply is only sent again where it is ``repeatable``: then
        the object that exists may have been made by the first try.
        """
        key, version = _key_and_version(manifest, "apply")
        if new:
            manifest = {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": _OF_NONE}}
        resource = await self.resource(key.group, key.kind, version)
        subject = Subject("apply", str(key), key)
        query = _write_query(manager, dry_run)
        fixed = "resourceVersion" in manifest["metadata"]
        if force:
            query += (("force", "true"),)
        request = Request(
            "PATCH",
            resource.object(key.namespace, key.name, subresource),
            subject,
            query=query,
            body=encode(manifest, subject),
            content_type=APPLY_PATCH,
            repeatable=not fixed or (new and repeatable),
            races=not fixed,
        )
        try:
            return await self._object(request, warn, on_create)
        except Conflict as error:
            if not new or error.reason == "FieldManagerConflict":
                raise
            said: dict[str, Any] = {"status": error.status, "reason": "AlreadyExists", "verb": "apply"}
            raise AlreadyExists(error.message, key=key, **said) from error

    async def create(
        self, manifest: Manifest, *, manager: str, dry_run: bool = False, warn: Warn | None = None
    ) -> Manifest:
        """Raises: AlreadyExists. Sent again only when it cannot have been carried out, so ClusterUnavailable leaves
        open whether the object exists now.
        """
        key, version = _key_and_version(manifest, "create")
        resource = await self.resource(key.group, key.kind, version)
        subject = Subject("create", str(key), key)
        request = Request(
            "POST",
            resource.home(key.namespace, key.name),
            subject,
            query=_write_query(manager, dry_run),
            body=encode(manifest, subject),
            repeatable=False,
        )
        return await self._object(request, warn)

    async def may(self, verb: str, key: ObjectKey) -> bool:
        """Whether we have the right to do this to an object, be it there or not. Raises: KindUnknown, Forbidden."""
        resource = await self.resource(key.group, key.kind)
        where = {"group": key.group, "resource": resource.plural, "namespace": key.namespace, "name": key.name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": {"verb": verb, **where}},
        }
        answer = await self.create(review, manager=FIELD_MANAGER)
        return bool(answer["status"]["allowed"])

    async def request_token(self, account: ObjectKey, audiences: Sequence[str]) -> IssuedToken:
        """A token of a ServiceAccount that is good for ``audiences`` alone (TokenRequest), for about an hour.

        Raises: ServiceAccountMissing; KubeConfigRefused where there are no tokens.
        """
        resource = await self.resource(account.group, account.kind)
        subject = Subject("request a token of", str(account), account)
        spec = {"audiences": list(audiences), "expirationSeconds": TOKEN_LIFETIME}
        body = encode({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}, subject)
        path = resource.object(account.namespace, account.name, "token")
        try:
            answer = await self._send(Request("POST", path, subject, body=body))
        except NotFound as error:
            raise ServiceAccountMissing(
                f"ServiceAccount {account.namespaced_name} does not exist",
                hint="create it, or name another one; the other cluster has to know it, too",
            ) from error
        except KindUnknown as error:
            raise KubeConfigRefused(
                f"kubeConfig: this API server gives no tokens of ServiceAccounts, {account.namespaced_name} among them",
                hint="a sandbox gives none, so that nothing in it reaches another cluster",
            ) from error
        # The API server may have given it another life than was asked for, and says which.
        return IssuedToken(str(answer.body["status"]["token"]), float(answer.body["spec"]["expirationSeconds"]))

    async def replace(
        self, manifest: Manifest, *, manager: str, subresource: str = "", dry_run: bool = False
    ) -> Manifest:
        """Raises: Conflict when metadata.resourceVersion is given and no longer the current one; NotFound."""
        key, version = _key_and_version(manifest, "update")
        resource = await self.resource(key.group, key.kind, version)
        subject = Subject("update", str(key), key)
        request = Request(
            "PUT",
            resource.object(key.namespace, key.name, subresource),
            subject,
            query=_write_query(manager, dry_run),
            body=encode(manifest, subject),
            # A repeated PUT of one resourceVersion would meet its own first success as a Conflict.
            repeatable="resourceVersion" not in manifest["metadata"],
        )
        return await self._object(request)

    async def patch(
        self,
        key: ObjectKey,
        body: Any,
        *,
        manager: str,
        patch_type: PatchType = "merge",
        subresource: str = "",
        version: str = "",
        warn: Warn | None = None,
    ) -> Manifest:
        """``strategic`` is for built-in kinds only; ``version`` is the API version whose fields ``body`` has. ``warn``
        is called with each warning of the API server. Raises: NotFound.
        """
        resource = await self.resource(key.group, key.kind, version)
        subject = Subject("patch", str(key), key)
        fixed = patch_type == "json" or "resourceVersion" in (body.get("metadata") or ())
        request = Request(
            "PATCH",
            resource.object(key.namespace, key.name, subresource),
            subject,
            query=_write_query(manager, dry_run=False),
            body=encode(body, subject),
            content_type=_PATCHES[patch_type],
            repeatable=not fixed,
            races=not fixed,
        )
        return await self._object(request, warn)

    async def delete(
        self,
        key: ObjectKey,
        *,
        propagation: Propagation = "Background",
        uid: str = "",
        resource_version: str = "",
        grace: int | None = None,
    ) -> bool:
        """True when the object is gone or going, False when it was not there, or not the one with ``uid``.

        ``grace`` is in seconds, None for the object's own. Raises: Conflict when it is another version by now than
        ``resource_version``, and not on its way out.
        """
        resource = await self.resource(key.group, key.kind)
        subject = Subject("delete", str(key), key)
        options: Manifest = {"propagationPolicy": propagation}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if given := {name: value for name, value in preconditions.items() if value}:
            options["preconditions"] = given
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        path = resource.object(key.namespace, key.name)
        try:
            await self._send(Request("DELETE", path, subject, body=encode(options, subject)))
        except NotFound:
            return False
        except Conflict as error:
            # Either it is another object by now, or one that is on its way out already (a Namespace).
            return await self._deleted_already(key, uid, error)
        return True

    async def _deleted_already(self, key: ObjectKey, uid: str, error: Conflict) -> bool:
        found = await self.find(key)
        if found is None or (uid and found["metadata"]["uid"] != uid):
            return False
        if "deletionTimestamp" in found["metadata"]:
            return True
        raise error

    async def _object(
        self, request: Request, warn: Warn | None = None, on_create: Callable[[], None] | None = None
    ) -> Manifest:
        answer = await self._send(request)
        if warn is not None:
            for text in answer.warnings:
                warn(text)
        if on_create is not None and answer.created:
            on_create()
        return as_asked_for(answer.body, request.subject)

    async def _send(self, request: Request) -> Answer:
        try:
            return await self._transport.send(request)
        except KindUnknown:
            self._discovery.forget()
            raise


async def retry_on_conflict(attempt: Callable[[], Awaitable[T]], *, attempts: int = 5) -> T:
    """Runs a read-modify-write until nobody else wrote in between, as client-go's RetryOnConflict.

    Raises: Conflict after the last of ``attempts``; AlreadyExists and FieldManagerConflict at once, since reading again
    does not help there.
    """
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, Conflict) and error.reason == "Conflict"),
        wait=tenacity.wait_random(0.01, 0.05),
        stop=tenacity.stop_after_attempt(attempts),
        reraise=True,
    )
    return await retrying(attempt)


def _key_and_version(manifest: Manifest, verb: str) -> tuple[ObjectKey, str]:
    try:
        api_version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        # A question (SubjectAccessReview) has no name; of what else lacks one, the API server says so.
        name = metadata.get("name") or (metadata.get("generateName", "") if verb == "create" else metadata["name"])
    except (KeyError, TypeError, AttributeError):
        raise Invalid(
            f"cannot {verb} an object without apiVersion, kind and metadata.name", status=400, verb=verb
        ) from None
    group, _, version = api_version.rpartition("/")
    return ObjectKey(group, kind, metadata.get("namespace") or "", name), version


def _write_query(manager: str, dry_run: bool) -> tuple[tuple[str, str], ...]:
    query = [("fieldManager", manager)]
    if dry_run:
        query.append(("dryRun", "All"))
    return tuple(query)
