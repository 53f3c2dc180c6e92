"""Documents that are small, and come to a lot."""

from __future__ import annotations

TEN = "[" + ",".join(["*{0}"] * 10) + "]"


def laughs() -> str:
    """Each line stands for ten times the one above."""
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"{name}: &{name} {TEN.format(before)}" for before, name in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


def merged_laughs() -> str:
    lines = ["m0: &m0 {k0: 1, l0: 1}"]
    lines += [f"m{n}: &m{n} {{<<: *m{n - 1}, k{n}: *m{n - 1}, l{n}: *m{n - 1}}}" for n in range(1, 30)]
    return "\n".join(lines)


HOSTILE = {
    "billion laughs": (laughs(), "more than 200,000 keys and values"),
    "laughs by merge keys": (merged_laughs(), "more than 200,000 keys and values"),
    "a long text many times": (f"a: &a '{'x' * 1_000_000}'\nb: [{'*a,' * 1000}]", "more than 10 MiB of values"),
    "brackets": ("a: " + "[" * 1000 + "]" * 1000, "nested more than 200 levels"),
    "a million brackets": ("[" * 1_000_000, "nested more than 200 levels"),
    "braces": ("{a: " * 1000 + "}" * 1000, "nested more than 200 levels"),
    "dashes": ("- " * 1000 + "a", "nested more than 200 levels"),
    "indentation": ("".join(" " * n + "a:\n" for n in range(1000)), "nested more than 200 levels"),
    "explicit keys": ("? " * 1000, "a mapping or a list as a key"),
    "aliases inside each other": (
        "a0: &a0 [1]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 1000)),
        "nested more than 200 levels",
    ),
    "itself": ("a: &a {b: *a}", "an alias inside of its own anchor"),
    "many values": ("[" + "1," * 1_000_000 + "]", "more than 200,000 keys and values"),
    "many keys": ("\n".join(f"k{n}: v" for n in range(150_000)), "more than 200,000 keys and values"),
    "nested json": ('{"a":' + "[" * 1000 + "]" * 1000 + "}", "nested more than 200 levels"),
    "a million json brackets": ('{"a":' + "[" * 1_000_000, "more than 500,000 values"),
    "many json values": ('{"a":[' + "{}," * 1_000_000 + "1]}", "more than 500,000 values"),
    "escaped quotes": ('{"' + '\\"' * 1_000_000, "not valid JSON"),
    "escaped backslashes": ('a: "' + "\\\\" * 5_000_000 + '/"', ""),
    "digits and underscores": ("a: ." + "5_" * 5_000_000, ""),
    "lines of comments": ("#\n" * 5_000_000 + "a: [", "not valid YAML"),
    "a digit more than an integer can have": ('{"a": ' + "1" * 5000 + "}", ""),
}
