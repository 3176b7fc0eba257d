"""The fixer that there is: `fixes.base.Fixer`, as a module."""

from linnix_ls.fixes.proposals import propose
from linnix_ls.fixes.rerun import reproduction
from linnix_ls.fixes.trial import try_patch

__all__ = ["propose", "reproduction", "try_patch"]
