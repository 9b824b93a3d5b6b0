"""Why folders that seem to be the classes of a data set hold nothing to read."""

import os
from collections.abc import Sequence
from pathlib import Path

from core.dataset_files.file_sources import is_litter

MOST_LOOKED_AT = 20_000  # entries


def without_files(folders: Sequence[Path]) -> str | None:
    """What to say of folders in which, however deep, no file lies that is no link; else None."""
    folders = [folder for folder in folders if not is_litter(folder.name)]
    links = [folder.name for folder in folders if folder.is_symlink()]
    looked_at, closed = 0, []
    for folder in folders:
        for place, inside, files in (
            () if folder.is_symlink() else os.walk(folder, onerror=closed.append)
        ):
            inside[:] = [name for name in inside if not is_litter(name)]
            files = [name for name in files if not is_litter(name)]
            found = [os.path.join(place, name) for name in (*inside, *files)]
            links += [
                os.path.relpath(path, folder.parent) for path in found if os.path.islink(path)
            ]
            looked_at += len(found)
            if looked_at > MOST_LOOKED_AT or not all(map(os.path.islink, found[len(inside) :])):
                return None
    if not folders or closed:  # to this account
        return None
    if links:
        return (
            f"Its folders hold only symbolic links ({few(sorted(links))}), which are not "
            "followed. Put the files themselves there: 'cp -rL' copies what links lead to."
        )
    return (
        f"{'Its folders are' if len(folders) > 1 else 'Its folder is'} empty: the copy or "
        "download may have failed. Put the pictures of each class into its folder."
    )


def few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4:,} more" if len(names) > 4 else "")
