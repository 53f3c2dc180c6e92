"""What is told over HTTP: whether the agent lives and works (``probes``), what it has counted (``metrics``, which tells
of ``resources`` too, in the form of ``exposition``), and the page of ``gitsync ui`` (``ui``). ``serving`` is a port.
What is asked for over HTTP is a matter of ``receivers``.

Nothing is imported here: the process that takes deliveries (``receivers.gate``) comes by, and needs none of it.
"""
