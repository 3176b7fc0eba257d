from .render import histogram, render

__all__ = ["histogram", "render"]
