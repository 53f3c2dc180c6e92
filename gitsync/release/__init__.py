"""One Helm release: facts, a state, a decision, an action, and what people are told of it.

A pass over a release begins in ``reconcile``, which gathers facts, decides and hands on to ``perform``; a ``request``
holds what belongs to the pass: the object, its status to be, its log lines.

- What a HelmRelease asks for: ``target``, ``values``, ``valuesfiles``, ``references``, ``repositories``,
  ``postrendering`` with ``kustomization`` and ``commonmetadata``, ``preserve``, ``options``; what of it is not honoured
  yet: ``support``.
- Where and as whom: ``access`` (what it asks for, what settings allow) and ``clusters`` (a cluster as some user, with what
  works on releases there).
- Deciding, without I/O: ``state`` (facts to state to action), ``index`` (who waits for whom), ``status`` and ``events``
  (what is said), ``objects`` and ``content`` (what a revision holds), ``stuck``, ``driftrules``, ``fights``.
- Acting: ``deploy``, ``remedy``, ``uninstall``, ``leaving``, ``hooks``, ``testing``, ``takeover``, ``drift``; on
  objects ``apply`` and ``wait``, which sync uses too, and ``rollout`` with ``clientside`` and ``replacing``; on Helm's
  records ``records`` (their format) and ``storage``; ``recorder`` writes Events.
- Waiting: ``wait``; ``readiness`` (when is an object ready) and ``readyexpr`` (when is a dependency); ``expressions``
  and ``evaluator`` (CEL, in a process of its own); ``reasons`` (who is told what is waited for).
"""
