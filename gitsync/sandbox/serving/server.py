"""The API over HTTPS."""

from __future__ import annotations

import copy
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog
from aiohttp import web

from gitsync.sandbox.api import Api
from gitsync.sandbox.failures import Failure, bad_request, invalid
from gitsync.sandbox.kinds.rules import invalid_value
from gitsync.sandbox.objects.metadata import unsupported
from gitsync.sandbox.objects.objectstore import Key
from gitsync.sandbox.objects.patches import json_patched, merge_patched, strategic_patched
from gitsync.sandbox.objects.writing import Target, Written, in_version
from gitsync.sandbox.serving import discovery, openapiv2, requests
from gitsync.sandbox.serving.selectors import Selector, field_selector, label_selector
from gitsync.sandbox.serving.views import View
from gitsync.sandbox.serving.watches import Watch, Watched, since

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


log = structlog.get_logger(__name__)

#: As etcd and the API server have it.
_LARGEST_BODY: Final = 3 * 2**20
_REVIEW: Final = "selfsubjectaccessreviews"
_APPLY: Final = ("application/apply-patch+yaml", "application/apply-patch+json")


class Handler:
    """Answers requests. Whoever has ``token`` may do everything."""

    def __init__(self, api: Api, token: str) -> None:
        self._api = api
        self._token = f"Bearer {token}".encode()

    def application(self) -> web.Application:
        """The API as an aiohttp application."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._token):
                raise Failure(401, "Unauthorized", "Unauthorized")
            return await self._answer(request)
        except Failure as failure:
            if failure.code == 404 and not failure.reason:
                return web.Response(text=f"{failure.message}\n", status=404)
            return _respond(failure.status, failure.code)
        except web.HTTPException:
            raise
        except Exception as error:  # a defect of ours; a client shall hear of it as from a real server
            log.exception("request failed", method=request.method, path=request.path)
            return _respond(
                Failure(500, "InternalError", f"Internal error: {type(error).__name__}: {error}").status, 500
            )

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path in ("/readyz", "/healthz", "/livez"):
            return web.Response(text="ok")
        if request.path == "/openapi/v2":
            return web.Response(body=openapiv2.document(), headers={"Content-Type": openapiv2.MEDIA_TYPE})
        told = discovery.document(request.path, request.headers.get("Accept", ""), self._api.catalog)
        if told is not None:
            return _respond(told, kind=_aggregated_type(told))
        target = requests.target_of(request.path, self._api.catalog)
        query = {name: request.query[name] for name in request.query}
        method, raw = request.method, await request.read()
        body = requests.body_of(raw, request.content_type, self._api.catalog) if raw else None
        if method == "GET":
            return await self._read(request, target, query)
        if method == "POST" and not target.name:
            return self._create(request, target, query, body)
        if method == "DELETE":
            return self._delete(request, target, query, body)
        if method in ("PUT", "PATCH") and target.name:
            change = self._put if method == "PUT" else self._patch
            return self._written(change(request, target, query, body), request, target)
        raise Failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    async def _read(self, request: web.Request, target: Target, query: Mapping[str, str]) -> web.StreamResponse:
        view = self._view(request, target)
        if target.subresource == "log":
            self._api.get(target)
            return web.Response(text="The sandbox only plays this container: nothing ran.\n")
        if target.name:
            return _respond(view.one(self._api.get(target)))
        if query.get("watch") in ("1", "true"):
            return await self._watch(request, target, query, view)
        return _respond(self._list(target, query, view))

    def _list(self, target: Target, query: Mapping[str, str], view: View) -> Manifest:
        selector, limit = _selector(target, query), requests.number(query, "limit")
        version, start = self._api.store.version, ("", "")
        if query.get("continue"):
            version, start = requests.read_token(query["continue"])
        collection, namespace = target.resource.collection, target.namespace
        try:
            found = self._api.store.items_at(collection, namespace, version)
        except LookupError:
            raise requests.token_expired() from None
        rest = [(key, each) for key, each in found if (key.namespace, key.name) > start and selector(each)]
        page = rest[:limit] if limit else rest
        metadata: Manifest = {"resourceVersion": str(version)}
        if len(page) < len(rest):
            last = page[-1][0]
            metadata["continue"] = requests.continue_token(version, (last.namespace, last.name))
            if not (query.get("labelSelector") or query.get("fieldSelector")):
                metadata["remainingItemCount"] = len(rest) - len(page)
        return view.many([in_version(each, target.resource) for _, each in page], metadata)

    async def _watch(
        self, request: web.Request, target: Target, query: Mapping[str, str], view: View
    ) -> web.StreamResponse:
        initial = query.get("sendInitialEvents") == "true"
        wanted = Watched(
            target.resource,
            target.namespace,
            _selector(target, query),
            view,
            None if initial else since(query.get("resourceVersion", "")),
            bookmarks=query.get("allowWatchBookmarks") in ("1", "true"),
            initial_end=initial,
            seconds=requests.number(query, "timeoutSeconds"),
        )
        watch = Watch(self._api.store, wanted)
        try:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            response.enable_chunked_encoding()
            await response.prepare(request)
            async for event in watch.events():
                await response.write(orjson.dumps(event) + b"\n")
        except ConnectionResetError:
            pass  # the client has gone
        finally:
            watch.close()
        return response

    def _create(self, request: web.Request, target: Target, query: Mapping[str, str], body: Any) -> web.StreamResponse:
        manifest = requests.manifest_of(body, target.resource)
        if target.resource.plural == _REVIEW:
            return _respond({**manifest, "status": {"allowed": True}}, 201)
        namespace = target.namespace or (
            manifest["metadata"].get("namespace", "") if target.resource.namespaced else ""
        )
        options = requests.options_of(query, _user_agent(request))
        written = self._api.create(replace(target, namespace=namespace), manifest, options)
        return self._written(written, request, target)

    def _put(self, request: web.Request, target: Target, query: Mapping[str, str], body: Any) -> Written:
        manifest = requests.manifest_of(body, target.resource)
        if target.resource.custom and not manifest["metadata"].get("resourceVersion"):
            cause = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            what = target.resource.named(target.name)
            raise invalid(what._replace(kind=what.plural), [cause])
        options = requests.options_of(query, _user_agent(request))
        return self._api.update(target, lambda before: manifest, options)

    def _patch(self, request: web.Request, target: Target, query: Mapping[str, str], body: Any) -> Written:
        kind = request.content_type
        if kind in _APPLY:
            options = requests.options_of(query, _user_agent(request), apply=True)
            return self._api.apply(target, requests.manifest_of(body, target.resource), options)
        resource = target.resource
        options = requests.options_of(query, _user_agent(request))

        def change(before: Manifest) -> Manifest:
            patched: Any
            if kind == "application/json-patch+json":
                patched = json_patched(before, body)
            elif kind == "application/merge-patch+json":
                patched = merge_patched(before, body)
            elif kind == "application/strategic-merge-patch+json" and not resource.custom:
                patched = strategic_patched(before, body, resource.type)
            else:
                raise unsupported()
            return requests.manifest_of(copy.deepcopy(patched), resource)

        return self._api.update(target, change, options)

    def _delete(self, request: web.Request, target: Target, query: Mapping[str, str], body: Any) -> web.StreamResponse:
        asked = body or {}
        if not isinstance(asked, dict):
            raise bad_request("DeleteOptions are expected")
        preconditions = asked.get("preconditions") or {}
        dry_run = "All" in (asked.get("dryRun") or [query.get("dryRun")])
        policy = asked.get("propagationPolicy") or query.get("propagationPolicy") or ""
        arguments: dict[str, Any] = {
            "policy": policy,
            "uid": preconditions.get("uid") or "",
            "version": preconditions.get("resourceVersion") or "",
            "dry_run": dry_run,
        }
        if target.name:
            before = self._api.get(target)
            left = self._api.delete(target, **arguments)
            return _respond(left or _success(target, before))
        listed = self._list(target, query, self._view(request, target))
        for key in self._selected(target, query):
            self._api.delete(replace(target, namespace=key.namespace, name=key.name), **arguments)
        return _respond(listed)

    def _selected(self, target: Target, query: Mapping[str, str]) -> Sequence[Key]:
        selector = _selector(target, query)
        found = self._api.store.items(target.resource.collection, target.namespace)
        return [key for key, manifest in found if selector(manifest)]

    def _written(self, written: Written, request: web.Request, target: Target) -> web.StreamResponse:
        view = self._view(request, target)
        response = _respond(view.one(written.manifest), 201 if written.created else 200)
        for warning in written.warnings:
            quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
            response.headers.add("Warning", f'299 - "{quoted}"')
        return response

    def _view(self, request: web.Request, target: Target) -> View:
        return View(request.headers.get("Accept", ""), target.resource, request.query.get("includeObject", ""))


def _selector(target: Target, query: Mapping[str, str]) -> Selector:
    labels = label_selector(query.get("labelSelector", ""))
    fields = field_selector(query.get("fieldSelector", ""), target.resource)
    return lambda manifest: labels(manifest) and fields(manifest)


def _user_agent(request: web.Request) -> str:
    return request.headers.get("User-Agent", "")


def _success(target: Target, before: Manifest) -> Manifest:
    """What is said of an object that is gone."""
    details = {**target.resource.named(target.name).details, "uid": before["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _aggregated_type(document: Manifest) -> str:
    """Clients tell the aggregated form by its content type."""
    if document.get("kind") != "APIGroupDiscoveryList":
        return "application/json"
    return "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _respond(document: Manifest, status: int = 200, kind: str = "application/json") -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, headers={"Content-Type": kind})
