"""Which kinds there are, and what objects of each look like.

``catalog`` has those recorded from a real API server, and those that ``customkinds`` finds in definitions; ``schema``
knows the types of fields, ``conforming`` makes an object fit them; ``defaults`` and ``poddefaults`` fill in, ``rules``
and ``customs`` say what is invalid; ``protobuf`` is how some clients write.
"""
