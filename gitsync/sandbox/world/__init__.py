"""The controllers of the sandbox: what they do about objects, as the real ones do it, and pods that nobody runs."""
