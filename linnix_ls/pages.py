"""Where the pages about our findings are: they are installed with us."""

from __future__ import annotations

from pathlib import Path

from linnix_ls.core.findings import Kind


def finding_page(kind: Kind) -> Path | None:
    """The page about findings of `kind`; None where the pages were left out."""
    package = Path(__file__).parent
    # In a wheel the pages are inside the package, in a checkout beside it.
    pages = (folder / "docs" / "findings" / f"{kind}.md" for folder in (package, package.parent))
    return next((page for page in pages if page.is_file()), None)
