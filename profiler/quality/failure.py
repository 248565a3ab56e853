"""An exception as one line, for what is kept as the reason why something is unknown."""


def failure(error: BaseException) -> str:
    """Return an exception as one line: its class and what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
