"""Where the pages about our findings and rules are: they are installed with us."""

from __future__ import annotations

from pathlib import Path

from linnix_ls.core.findings import Kind


def finding_page(kind: Kind) -> Path | None:
    """The page about findings of `kind`; None where the pages were left out."""
    return _page(f"findings/{kind}.md")


def rule_page(code: str) -> Path | None:
    """The page about a rule of the verifier, by a problem's code (``verifier/null-deref``)."""
    area, _, rule = code.partition("/")
    is_name = rule.replace("-", "").isalnum()
    return _page(f"verifier/{rule}.md") if area == "verifier" and is_name else None


def _page(name: str) -> Path | None:
    package = Path(__file__).parent
    # In a wheel the pages are inside the package, in a checkout beside it.
    pages = (folder / "docs" / name for folder in (package, package.parent))
    return next((page for page in pages if page.is_file()), None)
