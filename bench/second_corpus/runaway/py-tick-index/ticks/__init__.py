from .index import TickIndex

__all__ = ["TickIndex"]
