"""Ways to an API server: where it is, and how we prove who we are.

``credentials`` reads them from a kubeconfig or a pod's service account (``execplugin`` asks the programs that a
kubeconfig names); ``remote`` names another cluster, ``secretconfig`` reads its kubeconfig out of a Secret,
``tokenaccess`` asks for tokens there. ``access`` is one state of all this, as connections use it.
"""
