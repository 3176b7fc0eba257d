"""Environments in which something is missing, without touching that of anybody else."""

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def with_mounts(*commands):
    """A prefix: runs the rest where these mount commands have been carried out, seen by no one
    else."""
    return ("unshare", "--mount", "sh", "-ec", "; ".join([*commands, 'exec "$@"']), "sh")


def fake_bcc(folder, source):
    package = folder / "bcc"
    package.mkdir()
    (package / "__init__.py").write_text(source)
    return folder
