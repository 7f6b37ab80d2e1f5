"""The source archive of the installed Django; its wheel has no tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path


def suite_folder(cache: Path) -> Path:
    """Return the folder with runtests.py of the installed version; it is downloaded once, and kept in ``cache``.

    :raises RuntimeError: when pip can't download it.
    """
    release = version("Django")
    unpacked = cache / f"django-{release}"
    if not unpacked.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Unpacked in the same folder, and renamed when it is complete.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            unpack(download(release, Path(folder)), Path(folder) / "unpacked").rename(unpacked)
    return unpacked / "tests"


def download(release: str, folder: Path) -> Path:
    """Download the archive of a release into ``folder``, by pip; return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "Django"]
    result = subprocess.run([*command, "--dest", str(folder), f"Django=={release}"], check=False)
    archives = [*folder.glob("*.tar.gz")]
    if result.returncode != 0 or len(archives) != 1:
        raise RuntimeError(f"pip could not download the source archive of Django {release}: see its messages above")
    return archives[0]


def unpack(archive: Path, target: Path) -> Path:
    """Unpack an archive into ``target``; return the one folder that is in it."""
    shutil.unpack_archive(archive, target)
    (folder,) = target.iterdir()
    return folder
