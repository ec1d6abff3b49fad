"""What libraries do: which calls block, what they return, who calls back. Data only."""

from bridgekit_codemods.catalog.effect import Blocks, Effect

__all__ = ["Blocks", "Effect", "blocking"]


def blocking(dotted: str) -> Effect | None:
    """The effect of the library callable with this dotted name; None when it does not block."""
    raise NotImplementedError
