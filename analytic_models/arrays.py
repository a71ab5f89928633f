"""A row of real numbers from a NumPy file, for all that is told as FILE.npy: spectra, grids,
schedules.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def read_row(path: str | Path, told: str) -> NDArray[np.float64]:
    """The numbers (n,) of a .npy file, as float64. `told` says what they are to be: "spectrum".

    Raises ValueError, which names `told` and the file, where the file is not there, is no array of
    NumPy, holds less than it says, or anything but one row of real numbers.
    """
    if not Path(path).is_file():
        raise ValueError(f"{told}: there is no file {path}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers that are spelled oddly
            # mapped: what a header claims is compared with the file before memory is asked for
            found = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # noqa: BLE001 - damaged bytes can make the reader raise anything
        said = str(error).partition(". ")[0]  # NumPy goes on to recommend unsafe loading
        raise ValueError(f"{told}: {path} is not a readable .npy array ({said})") from None
    if not isinstance(found, np.ndarray):
        found.close()
        message = f"{told}: {path} is an archive of arrays (.npz); give one array, saved by np.save"
        raise ValueError(message)  # noqa: TRY004 - bad input is a ValueError
    if found.dtype.kind not in "fiu":
        raise ValueError(f"{told}: {path} holds {found.dtype}, not real numbers")
    if found.ndim != 1:
        message = f"{told}: {path} holds an array of shape {found.shape}, not one row of numbers"
        raise ValueError(message)
    return np.array(found, dtype=np.float64)
