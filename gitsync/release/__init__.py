"""A HelmRelease: facts -> state -> decision -> action -> record and status.

- ``controller`` watches HelmReleases and queues them; ``clusters`` are the target clusters that they install into;
  ``access`` is what settings allow a HelmRelease to ask for.
- ``reconcile/`` is one pass over one release: its facts, the decision, the action, the status.
- ``desired`` is what a release is to be: its chart, ``values/``, ``postrender/``; ``render`` makes a revision's
  content of it; ``unsupported`` are the fields that are refused; ``revision`` is what a revision holds, ``delta``
  what changes from one to the next; ``readiness`` says when its objects count as ready.
- ``action/`` installs, upgrades, rolls back, uninstalls; ``drift/`` finds and corrects drift; ``storage/`` keeps Helm's
  records.
- ``wanted/`` knows which release or sync wants an object, also those that are on their way to another state;
  ``leftovers`` are objects that a release no longer holds and could not delete yet.
- ``impliedcharts`` keeps the HelmChart object of each release.
- ``dependencies/`` knows which release waits for which; ``status/`` builds conditions, history and Events; ``masking``
  keeps Secrets out of messages; ``flux`` knows what Flux's helm-controller leaves behind.
"""
