"""Asking for the objects that a Receiver names, as Flux does: whoever serves them sees the annotation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog

from gitsync.api.identity import Manifest, ObjectKey, without_managed_fields
from gitsync.api.receiver import ANY_NAME, Receiver, ReceiverResource
from gitsync.errors import CrossNamespaceRefused, GitsyncError, RetryableError
from gitsync.live.requests import request
from gitsync.web.receivers.delivery import NO_JSON, TOO_LARGE, Delivery, Proved, Refusal
from gitsync.web.receivers.senders import content_of
from gitsync.weight import object_weight

if TYPE_CHECKING:
    from gitsync.cel.expressions import Expressions
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

#: Seconds for all objects of a delivery: GitHub and GitLab wait 10 for an answer.
DEADLINE: Final = 8.0
#: Objects that are asked for at the same time.
_AT_ONCE: Final = 8
#: Bytes of memory of a body that expressions read: the process that evaluates them has 64 MiB.
_MOST_READ: Final = 6 << 20
#: Objects that a filter is evaluated for in one go, and bytes of memory of what is seen of them.
_MOST_IN_ONE_GO: Final = 100
_HEAVIEST: Final = 2 << 20
_TOO_MUCH: Final = Refusal(TOO_LARGE, "the body is too large for resourceFilter")


class Asking:
    """``request``s what Receivers name."""

    def __init__(self, cluster: Cluster, expressions: Expressions, *, cross_namespace: bool) -> None:
        self._cluster = cluster
        self._expressions = expressions
        self._cross_namespace = cross_namespace

    async def ask(self, receiver: Receiver, delivery: Delivery, proved: Proved) -> int | Refusal:
        """Ask for all objects that the receiver names and its expressions let through; how many there were. The others
        are asked for when one cannot be. Raises: GitsyncError, the first that there was."""
        variables: dict[str, Any] = {}
        if has_filter(receiver):
            content = await asyncio.to_thread(content_of, delivery, proved)
            if content is None:
                return NO_JSON
            if object_weight(content) > _MOST_READ:
                return _TOO_MUCH
            variables = {"req": content, **({"claims": dict(proved.claims)} if proved.claims else {})}
        try:
            async with asyncio.timeout(DEADLINE):
                return await self._ask_all(receiver, variables)
        except TimeoutError:
            raise RetryableError(f"not all objects were found, filtered and asked for within {DEADLINE:g} s") from None

    async def _ask_all(self, receiver: Receiver, variables: Mapping[str, Any]) -> int:
        wanted: dict[ObjectKey, None] = {}
        errors: list[GitsyncError] = []
        for item in receiver.spec.resources:
            try:
                wanted.update(dict.fromkeys(await self._meant(receiver, item, variables)))
            except GitsyncError as error:
                errors.append(error)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def ask_for(key: ObjectKey) -> None:
            async with slots:
                await request(self._cluster, key)

        results = await asyncio.gather(*map(ask_for, wanted), return_exceptions=True)
        for result in results:
            if isinstance(result, GitsyncError):
                errors.append(result)
            elif isinstance(result, BaseException):
                raise result
        if errors:
            raise errors[0]
        return len(wanted)

    async def _meant(self, receiver: Receiver, item: ReceiverResource, variables: Mapping[str, Any]) -> list[ObjectKey]:
        """The objects of an entry. Raises: GitsyncError."""
        key = receiver.key_of(item)
        if not self._cross_namespace and key.namespace != receiver.metadata.namespace:
            raise cross_namespace_refused(key)
        filters = [text for text in (receiver.spec.resource_filter, item.filter) if text]
        if item.name != ANY_NAME and not filters:
            return [key]
        if item.name == ANY_NAME:
            labels = ",".join(f"{name}={value}" for name, value in (item.match_labels or {}).items())
            found = await self._cluster.list(key.group, key.kind, namespace=key.namespace, labels=labels)
        else:
            found = [await self._cluster.get(key)]
        left = [_shown(manifest) for manifest in found]
        for text in filters:
            left = [res async for res in self._passing(receiver, left, text, variables)]
        return [key._replace(name=res["metadata"]["name"]) for res in left]

    async def _passing(
        self, receiver: Receiver, found: Sequence[Manifest], text: str, variables: Mapping[str, Any]
    ) -> AsyncIterator[Manifest]:
        """Those of which an expression is true. One that cannot be evaluated is not, and says so.

        Raises: RetryableError.
        """
        for some in _batches(found):
            answers = await self._expressions.evaluate_each(text, variables, "res", some)
            for res, answer in zip(some, answers, strict=True):
                if isinstance(answer, str):
                    raise RetryableError(f"the filter of Receiver {receiver.key.namespaced_name} {_told(answer)}")
                if answer:
                    yield res


def _shown(manifest: Manifest) -> Manifest:
    """What expressions are shown of an object."""
    metadata = without_managed_fields(manifest)["metadata"]
    return {"apiVersion": manifest.get("apiVersion"), "kind": manifest.get("kind"), "metadata": metadata}


def _batches(found: Sequence[Manifest]) -> Iterator[list[Manifest]]:
    """So many that are evaluated in one go."""
    batch: list[Manifest] = []
    weight = 0
    for res in found:
        batch.append(res)
        weight += object_weight(res)
        if len(batch) == _MOST_IN_ONE_GO or weight > _HEAVIEST:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def has_filter(receiver: Receiver) -> bool:
    """Whether some expression is asked before an object is."""
    return bool(receiver.spec.resource_filter) or any(item.filter for item in receiver.spec.resources)


def cross_namespace_refused(key: ObjectKey) -> CrossNamespaceRefused:
    """Why an object in another namespace is not asked for."""
    return CrossNamespaceRefused(
        f"{key} is in another namespace",
        hint="put the Receiver there, or allow it for all (--cross-namespace-refs)",
    )


def _told(answer: str) -> str:
    """Why an expression has no answer, without what the delivery said: that may be anything."""
    return "cannot be evaluated" if len(answer) > 100 or '"' in answer or "'" in answer else f"fails: {answer}"
