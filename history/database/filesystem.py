"""Recognizes disks on which SQLite may lose data: network disks, whose locks and shared memory do not work reliably."""

from __future__ import annotations

import re
from pathlib import Path

_NETWORK_TYPES = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ncpfs", "9p", "ceph", "glusterfs", "lustre",
     "beegfs", "gpfs", "orangefs", "pvfs2", "davfs", "vboxsf", "prl_fs", "vmhgfs"}
)  # fmt: skip
_LOCAL_FUSE_TYPES = frozenset(
    {"fuseblk", "fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.portal", "fuse.lxcfs", "fuse.ext2"}
)
"""FUSE disks with a file system of this machine behind them; others may be remote, such as fuse.sshfs and fuse.s3fs."""


def network_filesystem(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """Return the type of the network disk that holds a path, such as nfs4; "" for a local disk or an unknown one.

    Args:
        path: a file or folder, which need not exist.
        mounts: the table of mounted disks; other systems than Linux have none.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError:
        return ""
    # A line is: device, mount point, type, options, two numbers. Later lines cover earlier ones.
    disks = [fields[1:3] for line in lines if len(fields := line.split(" ")) > 2]  # noqa: PLR2004
    place = path.absolute().resolve()
    holders = [(Path(_unescaped(point)), kind) for point, kind in disks if place.is_relative_to(_unescaped(point))]
    kind = max(enumerate(holders), key=lambda h: (len(h[1][0].parts), h[0]))[1][1] if holders else ""
    is_remote_fuse = kind.startswith("fuse") and kind not in _LOCAL_FUSE_TYPES
    return kind if kind in _NETWORK_TYPES or is_remote_fuse else ""


def _unescaped(text: str) -> str:
    r"""Return a mount point as a path; the table writes a space as \040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
