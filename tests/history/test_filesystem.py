"""Network disks are recognized by the table of mounted disks; the disk mounted last and deepest holds a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.history.database.filesystem import network_filesystem

MOUNTS = r"""sysfs /sys sysfs rw 0 0
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/ann/scratch xfs rw 0 0
//server/share /mnt/my\040share cifs rw 0 0
host:/data /data fuse.sshfs rw 0 0
/dev/sdc1 /usb fuseblk rw 0 0
/dev/sdd1 /covered ext4 rw 0 0
cluster /covered lustre rw 0 0
none /mnt/s3 fuse.s3fs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/work/study/.tunesmith/history.db", ""),
        ("/home/ann/study/.tunesmith/history.db", "nfs4"),
        ("/home/ann/scratch/study", ""),
        ("/homeless/study", ""),
        ("/mnt/my share/study", "cifs"),
        ("/data/study", "fuse.sshfs"),
        ("/usb/study", ""),
        ("/covered/study", "lustre"),
        ("/mnt/s3/study", "fuse.s3fs"),
    ],
)
def test_the_disk_of_a_path_is_found(path: str, kind: str, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert network_filesystem(Path(path), mounts) == kind


def test_without_a_table_of_disks_nothing_is_warned_of(tmp_path: Path) -> None:
    assert network_filesystem(tmp_path, tmp_path / "nowhere") == ""
    (tmp_path / "mounts").write_text("one\n\ntwo words\n")
    assert network_filesystem(tmp_path, tmp_path / "mounts") == ""
