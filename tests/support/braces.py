"""Paths with braces, as a shell reads them."""


def expand(pattern):
    """Return the paths that a pattern such as `{a,b}.py` means, in order."""
    before, brace, rest = pattern.partition("{")
    if not brace:
        return [pattern]
    inside, _, after = rest.partition("}")
    return [
        path for part in inside.split(",") for path in expand(f"{before}{part}{after}")
    ]
