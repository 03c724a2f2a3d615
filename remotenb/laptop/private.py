"""What only this user may read: a folder's mode, and on Windows its access list."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_MODE = 0o700


def make_folder(path: Path) -> None:
    """``path`` for this user alone, and whatever is made in it; raises :class:`OSError`."""
    path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    _close(path)


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _QUERY = 0x0008
    _USER = 1
    _DACL = 0x4
    _LARGEST_SID = 256
    _REVISION = 1
    _ACCESS = "D:P(A;OICI;FA;;;{user})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
    """Nothing is inherited from above; all rights, here and below, for the user, the system and
    its administrators, as in Windows' own folders of a user."""

    def _close(path: Path) -> None:
        advapi = ctypes.WinDLL("advapi32", use_last_error=True)
        descriptor = ctypes.c_void_p()
        words = _ACCESS.format(user=_user_sid(advapi))
        _hold(
            advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                words, _REVISION, ctypes.byref(descriptor), None
            )
        )
        try:
            _hold(advapi.SetFileSecurityW(str(path), _DACL, descriptor))
        finally:
            _free(descriptor)

    def _user_sid(advapi: ctypes.WinDLL) -> str:
        """The number of the user of this process, as text."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.GetCurrentProcess.restype = wintypes.HANDLE
        token = wintypes.HANDLE()
        process = wintypes.HANDLE(kernel.GetCurrentProcess())
        _hold(advapi.OpenProcessToken(process, _QUERY, ctypes.byref(token)))
        user = (ctypes.c_void_p * _LARGEST_SID)()  # TOKEN_USER: a pointer to the SID, then the SID
        size, text = wintypes.DWORD(), wintypes.LPWSTR()
        room = ctypes.sizeof(user)
        try:
            _hold(advapi.GetTokenInformation(token, _USER, user, room, ctypes.byref(size)))
            sid = ctypes.c_void_p(user[0])
            _hold(advapi.ConvertSidToStringSidW(sid, ctypes.byref(text)))
        finally:
            kernel.CloseHandle(token)
        try:
            return str(text.value)
        finally:
            _free(ctypes.cast(text, ctypes.c_void_p))

    def _free(memory: ctypes.c_void_p) -> None:
        kernel = ctypes.WinDLL("kernel32")
        kernel.LocalFree.argtypes = [ctypes.c_void_p]
        kernel.LocalFree(memory)

    def _hold(worked: int) -> None:
        if not worked:
            raise ctypes.WinError(ctypes.get_last_error())

else:

    def _close(path: Path) -> None:
        path.chmod(FOLDER_MODE)
