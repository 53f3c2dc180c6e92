"""A HelmRelease: facts -> state -> decision -> action -> record and status.

- ``controller`` watches HelmReleases and gives each its place in the queue; ``clusters`` are where they live, and as
  whom they are worked on; ``access`` is what a HelmRelease may ask for.
- ``reconcile/`` is one pass over one release: its facts, the decision, the action, what is said of it.
- ``desired`` is what a release is to be: its chart, ``values/``, ``postrender/``; ``render`` makes a revision's
  content of it; ``unsupported`` are the fields that are refused; ``revision`` is what a revision holds, ``delta``
  what changes from one to the next; ``readiness`` says when its objects count as ready.
- ``action/`` installs, upgrades, rolls back, uninstalls; ``drift/`` finds and corrects; ``storage/`` keeps Helm's
  records.
- ``wanted/`` knows who wants an object, also of those that are on their way.
- ``impliedcharts`` keeps the HelmChart of each release.
- ``dependencies/`` knows who waits for whom; ``status/`` builds conditions, history and Events; ``masking`` keeps
  Secrets out of messages; ``flux`` knows what Flux's helm-controller leaves behind.
"""
