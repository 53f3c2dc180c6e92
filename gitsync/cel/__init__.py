"""CEL expressions: ``expressions`` asks a child process, ``evaluator``, whose memory and processor time are bounded."""
