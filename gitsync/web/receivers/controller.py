"""The Receivers of a cluster: watched, each with a webhook while its Secret has a token, and said so in its status."""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gitsync.api.conditions import Said
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import NOTIFICATION_GROUP
from gitsync.api.names import (
    ACCESS_DENIED,
    FALSE,
    INVALID,
    INVALID_CEL,
    READY,
    RECEIVER,
    STALLED,
    SUCCEEDED,
    TOKEN_NOT_FOUND,
    TRUE,
    VALIDATION_FAILED,
)
from gitsync.api.receiver import DEFAULT_RECEIVER_INTERVAL, GENERIC_OIDC, Receiver, ReceiverStatus
from gitsync.backoff import Backoff
from gitsync.cel.expressions import Expressions
from gitsync.errors import FieldErrors, Forbidden, GitsyncError, NotFound
from gitsync.logs import Once, keep_secret, keeping_secrets
from gitsync.runtime.event import Event
from gitsync.sources.controller import SourceController
from gitsync.sources.finalizers import remove_finalizer
from gitsync.sources.statuses import say
from gitsync.sources.watch.secretwatch import SecretWatches
from gitsync.web.receivers.asking import Asking, cross_namespace_refused
from gitsync.web.receivers.issuers import Issuers
from gitsync.web.receivers.routes import Route, Routes, path_of
from gitsync.web.receivers.senders import SENDERS
from gitsync.web.receivers.tokens import Account, Tokens

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.interrupt import Interrupt
    from gitsync.runtime.recorder import EventRecorder
    from gitsync.runtime.schedule import Schedule

log = structlog.get_logger(__name__)

_GCR = "gcr"
_GCR_KEYS = ("email", "audience")
#: What expressions over a delivery, and over a token, may name.
_OF_DELIVERY = ("res", "req")
_OF_TOKEN = ("claims", "vars")


class Unusable(Exception):
    """A Receiver that takes no deliveries as it is; ``reason`` is that of its conditions. Needs a change when it is
    ``stalled``."""

    def __init__(self, reason: str, message: str, *, stalled: bool = True) -> None:
        super().__init__(message)
        self.reason, self.message, self.stalled = reason, message, stalled


class _CannotTell(Exception):
    """At this moment nobody knows whether a Receiver takes deliveries."""


class Receivers:
    """Keeps ``routes`` what the Receivers of a cluster say, while ``serving``."""

    def __init__(
        self,
        cluster: Cluster,
        routes: Routes,
        events: EventRecorder,
        schedule: Schedule,
        *,
        cross_namespace: bool,
        expressions: Expressions | None = None,
    ) -> None:
        self._cluster = cluster
        self._routes = routes
        self._events = events
        self._cross_namespace = cross_namespace
        self._expressions = expressions.of("") if expressions is not None else Expressions()
        # Filters may take long, and whoever has a token is to be let in meanwhile: they take turns.
        tokens, filters = (self._expressions.of(f"webhooks: {what}", forgives=True) for what in ("tokens", "filters"))
        self._issuers = Issuers()
        self._tokens = Tokens(self._issuers, tokens)
        self._asking = Asking(cluster, filters, cross_namespace=cross_namespace)
        #: Those that were there at the start, and were not looked at yet.
        self._unseen: set[ObjectKey] = set()
        self._backoff: Backoff[ObjectKey] = Backoff()
        self._once = Once()
        self._secrets = SecretWatches(cluster, lambda key, why: self._controller.wake(key, interrupt=why))
        self._watch = cluster.watch(NOTIFICATION_GROUP, RECEIVER, namespace=cluster.namespace)
        self._controller = SourceController(
            RECEIVER, self._watch, self.reconcile, schedule, self._secrets, DEFAULT_RECEIVER_INTERVAL
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[dict[tuple[str, str], Informer]]:
        """Watch and reconcile. Yields the watch, by group and kind, or nothing where Receivers may not be read."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._issuers.close)
            stack.push_async_callback(self._expressions.close)
            try:
                await stack.enter_async_context(self._watch)
            except Forbidden as error:
                log.warning("Receivers are not served", why=error.message, hint=error.hint)
                yield {}
                return
            self._unseen = {key for key, _ in self._watch.items()}
            self._routes.settling = bool(self._unseen)
            await stack.enter_async_context(self._secrets.serving())
            await stack.enter_async_context(self._controller.serving())
            yield {(NOTIFICATION_GROUP, RECEIVER): self._watch}

    async def reconcile(self, key: ObjectKey, interrupt: Interrupt) -> float | None:
        """Have a Receiver take deliveries, and say so. Returns seconds until the next try, when this one failed."""
        with keeping_secrets():
            try:
                again = await self._pass(key)
            except _CannotTell:
                return self._backoff.next(key)
            await self._seen(key)
            return again

    async def _seen(self, key: ObjectKey) -> None:
        """It is known whether one takes deliveries. After the last of those that were there at the start, whoever
        comes by another path is told that there is none."""
        self._unseen.discard(key)
        if self._routes.settling and not self._unseen:
            self._routes.settling = False
            await self._routes.publish()

    async def _pass(self, key: ObjectKey) -> float | None:
        manifest = self._watch.get(key)
        if manifest is None or "deletionTimestamp" in manifest["metadata"]:
            await self._drop(key)
            self._backoff.reset(key)
            self._once.forget(key)
            return await self._let_go(key, manifest) if manifest is not None else None
        try:
            receiver = Receiver.parse(manifest)
            path = await self._open(receiver)
        except FieldErrors as error:
            await self._failed(key, manifest, Unusable(INVALID, error.message))
            return None
        except Unusable as why:
            await self._failed(key, manifest, why)
            return None if why.stalled else self._backoff.next(key)
        except GitsyncError as error:  # what is there goes on to be taken
            log.debug("receiver cannot be looked at", receiver=key.namespaced_name, error=error.message)
            raise _CannotTell from error
        self._backoff.reset(key)
        if receiver.spec.suspend:
            return None
        if self._once.over(key):
            log.info("receiver is ready again", receiver=key.namespaced_name)
        said: list[Said] = [(READY, TRUE, SUCCEEDED, f"Receiver initialized for path: {path}")]
        await say(self._cluster, manifest, ReceiverStatus, said, webhook_path=path)
        return None

    async def _open(self, receiver: Receiver) -> str:
        """Take deliveries for a receiver; the path of its webhook. Raises: Unusable, ApiError, ClusterUnavailable."""
        if receiver.defect:
            raise Unusable(VALIDATION_FAILED, receiver.defect)
        self._check_namespaces(receiver)
        await self._check_expressions(receiver)
        secret = await self._secret(receiver)
        token = secret.get("token", b"")
        name, namespace = receiver.metadata.name, receiver.metadata.namespace
        path = path_of(token, name, namespace)
        if not self._routes.put(receiver.key, path, self._route(receiver, secret)):
            raise Unusable(VALIDATION_FAILED, "another Receiver has the same path: give it another token or name")
        await self._routes.publish()
        return path

    def _route(self, receiver: Receiver, secret: Mapping[str, bytes]) -> Route:
        """Raises: Unusable."""
        spec, judge, doubt = receiver.spec, None, None
        if spec.type == _GCR:
            try:
                email, audience = (secret[name].decode() for name in _GCR_KEYS)
            except UnicodeDecodeError:
                what = f"the Secret of {receiver.key.namespaced_name} has an email or audience that is no text"
                raise Unusable(TOKEN_NOT_FOUND, what, stalled=False) from None
            account = Account(email, audience)
            judge = partial(self._tokens.of_google, account=account)
            doubt = partial(self._tokens.claims_of_google, account=account)
        elif spec.type == GENERIC_OIDC:
            judge = partial(self._tokens.of_provider, providers=spec.oidc_providers)
            doubt = partial(self._tokens.claims_of_provider, providers=spec.oidc_providers)
        sender = SENDERS.get(spec.type)
        return Route(
            receiver.key.namespaced_name,
            spec.type,
            partial(self._asking.ask, receiver),
            secret.get("token", b""),
            spec.events if sender is not None and sender.filters else (),
            judge,
            doubt,
            "this webhook is suspended" if spec.suspend else "",
            self._tokens.issuers_of(receiver),
        )

    def _check_namespaces(self, receiver: Receiver) -> None:
        for item in receiver.spec.resources:
            key = receiver.key_of(item)
            if not self._cross_namespace and key.namespace != receiver.metadata.namespace:
                raise Unusable(ACCESS_DENIED, cross_namespace_refused(key).told)

    async def _check_expressions(self, receiver: Receiver) -> None:
        """Raises: Unusable; RetryableError when there is no telling."""
        spec = receiver.spec
        names = (*_OF_DELIVERY, "claims") if spec.type == GENERIC_OIDC else _OF_DELIVERY
        found = [("spec.resourceFilter", spec.resource_filter, names)]
        found += [(f"spec.resources[{index}].filter", item.filter, names) for index, item in enumerate(spec.resources)]
        for index, provider in enumerate(spec.oidc_providers):
            where = f"spec.oidcProviders[{index}]"
            found += [(f"{where}.variables", item.expression, _OF_TOKEN) for item in provider.variables]
            found += [(f"{where}.validations", item.expression, _OF_TOKEN) for item in provider.validations]
        for where, text, allowed in found:
            if text and (why := await self._expressions.of(receiver.metadata.namespace).error_of(text, allowed)):
                raise Unusable(INVALID_CEL, f"{where}: {why}")

    async def _secret(self, receiver: Receiver) -> dict[str, bytes]:
        """What the Secret of a receiver holds. Raises: Unusable, ApiError, ClusterUnavailable."""
        reference = receiver.spec.secret_ref
        if reference is None:
            return {}
        key = ObjectKey("", "Secret", receiver.metadata.namespace, reference.name)
        try:
            data = (await self._cluster.get(key)).get("data") or {}
            found = {name: base64.b64decode(value, validate=True) for name, value in data.items()}
        except NotFound:
            raise Unusable(TOKEN_NOT_FOUND, f"Secret '{key.namespaced_name}' does not exist", stalled=False) from None
        except Forbidden as error:
            raise Unusable(TOKEN_NOT_FOUND, error.message, stalled=False) from None
        except binascii.Error:
            raise Unusable(TOKEN_NOT_FOUND, f"Secret '{key.namespaced_name}' cannot be read") from None
        keep_secret(frozenset({found["token"].decode("utf-8", "replace")} if found.get("token") else ()))
        for name in ("token", *(_GCR_KEYS if receiver.spec.type == _GCR else ())):
            if not found.get(name, b"").strip():
                what = f"Secret '{key.namespaced_name}' has no {name}"
                raise Unusable(TOKEN_NOT_FOUND, what, stalled=False)
        return found

    async def _drop(self, key: ObjectKey) -> None:
        self._routes.drop(key)
        await self._routes.publish()

    async def _let_go(self, key: ObjectKey, manifest: Manifest) -> float | None:
        try:
            await remove_finalizer(self._cluster, key, manifest)
        except GitsyncError as error:
            log.debug("finalizer of a receiver could not be removed", receiver=key.namespaced_name, error=error.message)
            return self._backoff.next(key)
        return None

    async def _failed(self, key: ObjectKey, manifest: Manifest, why: Unusable) -> None:
        await self._drop(key)
        fields = {"receiver": key.namespaced_name, "why": why.message}
        if self._once(key, log, "receiver takes no deliveries", level="warning", **fields):
            self._events.record(manifest, Event("Warning", why.reason, why.message))
        said: list[Said] = [(READY, FALSE, why.reason, why.message)]
        if why.stalled:
            said.append((STALLED, TRUE, why.reason, why.message))
        await say(self._cluster, manifest, ReceiverStatus, said, webhook_path="")
