from .register import Register, sequence_length

__all__ = ["Register", "sequence_length"]
