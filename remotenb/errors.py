"""What can go wrong, as one tree; each leaf is the ``error`` of a JSON event.

::

    RemotenbError                       1   a bug, or nothing more precise
    ├─ UsageError                       2   the command line
    │  └─ ConfigError                       a config file or a value in it
    ├─ LinkError                        3   no SSH connection
    │  ├─ HostUnknown                       the name does not resolve
    │  ├─ HostUnreachable  (passing)        no TCP, or no answer in time
    │  ├─ LinkLost         (passing)        it was there, and went away
    │  ├─ SessionTaken                      another process carries it on
    │  ├─ ProtocolFailed   (passing)        the peer does not talk SSH as we do
    │  ├─ HostKeyUnknown                    nobody is there to be asked
    │  ├─ HostKeyChanged                    or revoked: never go on
    │  ├─ AuthenticationFailed              nothing that was shown or said was accepted
    │  │  └─ LoginNeedsPerson               a password or a second factor, and nobody is there
    │  ├─ StillBooting     (passing)        the machine lets nobody in: nologin
    │  ├─ KeyUnusable                       a key file that cannot be read
    │  └─ SshConfigError                    ssh_config asks for what we cannot do
    ├─ FarSideError                     4   the machine, its engine, its images
    │  ├─ ShellUnusable                     the login shell did not run our script
    │  ├─ ScriptFailed                      a script of ours failed over there
    │  ├─ EngineMissing / EngineNotPermitted / EngineDown / EngineRefused
    │  ├─ ImageMissing / NoImage
    │  ├─ RegistryUnreachable (passing)     no answer from a registry of images
    │  ├─ RegistryFailed / ImageUnknown / LoginNeeded / LoginRefused / BlobDamaged
    │  ├─ ContainerMissing / ContainerNotRunning / NameTaken
    │  ├─ GpuUnavailable
    │  │  └─ GpuTaken                       somebody else was faster
    │  ├─ LimitRefused
    │  ├─ DiskFull
    │  ├─ TagTaken                          an image of that name is another one
    │  ├─ LayerDamaged / ImageDiffers       what arrived is not what was sent
    │  ├─ PartialRefused                    the engine wants all layers of an image
    │  ├─ TransferTaken                     somebody else sends the same image
    │  ├─ MountMissing
    │  ├─ FileMissing / FileRefused / Untrustworthy / PythonMissing / CopyIncomplete
    │  ├─ InstallFailed
    │  ├─ JupyterMissing / JupyterFailed / JupyterNotReady
    │  └─ ServerOpen / ServerUnreachable
    ├─ LocalError                       5   something on the laptop
    │  ├─ KeyringUnusable                   there is none, or it is locked or broken
    │  ├─ LaptopRefused                     a file that cannot be read or written
    │  ├─ PortTaken
    │  ├─ FileTaken                         a file of that name is there
    │  ├─ ArchiveUnusable                   a file that is no image, or a damaged one
    │  └─ WheelsMissing                     packages that cannot be fetched
    └─ ServerGone                       6   it was there, and does not come back

``passing`` says whether trying again may help; the exit code belongs to the branch.
"""

from __future__ import annotations

from typing import ClassVar


class RemotenbError(Exception):
    """One clear line, a hint that says what to do, and perhaps a log's tail as ``detail``."""

    code: ClassVar[int] = 1
    passing: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class UsageError(RemotenbError):
    """The command line asks for something that makes no sense."""

    code = 2


class ConfigError(UsageError):
    """A config file that cannot be read, or a value in it that cannot be used."""


class LinkError(RemotenbError):
    """There is no SSH connection."""

    code = 3


class HostUnknown(LinkError):
    """The host's name does not resolve."""


class HostUnreachable(LinkError):
    """No TCP connection, or no SSH banner in time."""

    passing = True


class LinkLost(LinkError):
    """The connection was there, and ended."""

    passing = True


class SessionTaken(LinkError):
    """Another process of this laptop carries the session on."""


class ProtocolFailed(LinkError):
    """The peer ended the handshake, or speaks nothing that we speak."""

    passing = True


class HostKeyUnknown(LinkError):
    """The host's key is in no known_hosts file, and nobody said that it is right."""


class HostKeyChanged(LinkError):
    """The host's key is not the one known_hosts has, or is revoked."""


class AuthenticationFailed(LinkError):
    """The server accepted none of the keys, passwords and answers."""


class LoginNeedsPerson(AuthenticationFailed):
    """The server wants a password or a second factor, and nobody is there to be asked."""


class StillBooting(LinkError):
    """The machine boots, or goes down, and lets in nobody but root."""

    passing = True


class KeyUnusable(LinkError):
    """A private key that cannot be read or decrypted here."""


class SshConfigError(LinkError):
    """ssh_config is wrong, or asks for what remotenb cannot do."""


class FarSideError(RemotenbError):
    """The link is fine; the machine behind it is not as it should be."""

    code = 4


class ShellUnusable(FarSideError):
    """The login shell over there did not run a plain ``sh``."""


class ScriptFailed(FarSideError):
    """A script of ours failed over there in a way that we did not foresee."""


class EngineMissing(FarSideError):
    """There is no container engine."""


class EngineNotPermitted(FarSideError):
    """The user may not talk to the engine."""


class EngineDown(FarSideError):
    """The engine's daemon does not answer."""


class EngineRefused(FarSideError):
    """The engine refused a command, in words that we do not know."""


class ImageMissing(FarSideError):
    """The image is not on the machine."""


class NoImage(FarSideError):
    """Nothing runs, and no image was named to start from."""


class RegistryUnreachable(FarSideError):
    """A registry does not answer: from the machine, or from the laptop."""

    passing = True


class RegistryFailed(FarSideError):
    """A registry's answer is a failure, or makes no sense."""


class ImageUnknown(FarSideError):
    """The registry has no such image, or none for that platform."""


class LoginNeeded(FarSideError):
    """The registry shows that image only to those who log in."""


class LoginRefused(FarSideError):
    """The registry does not accept that user and key."""


class BlobDamaged(FarSideError):
    """What a registry sent is not what its digest promised."""


class ContainerMissing(FarSideError):
    """No container of that name."""


class ContainerNotRunning(FarSideError):
    """The container that was asked for does not run."""


class NameTaken(FarSideError):
    """The container's name belongs to somebody else's container."""


class GpuUnavailable(FarSideError):
    """The GPUs that were asked for cannot be had."""


class GpuTaken(GpuUnavailable):
    """GPUs that were idle were given to another container in the same moment."""


class LimitRefused(FarSideError):
    """The engine may not set a ulimit: it is rootless, or in a container itself."""


class DiskFull(FarSideError):
    """No space left on the machine."""


class TagTaken(FarSideError):
    """The machine has another image of that name, and nobody said that it may lose it."""


class LayerDamaged(FarSideError):
    """A layer is not what its digest says."""


class ImageDiffers(FarSideError):
    """The engine made another image of it than it was."""


class PartialRefused(FarSideError):
    """The engine loads an image only with all of its layers."""


class TransferTaken(FarSideError):
    """Another process sends the same image to the same machine."""


class MountMissing(FarSideError):
    """A folder that should be mounted is not there and cannot be made."""


class FileMissing(FarSideError):
    """A file or folder over there that should be copied is not there."""


class FileRefused(FarSideError):
    """A file over there may not be read, or not be written."""


class Untrustworthy(FarSideError):
    """The far side sent what no tree of files has, as a name that leads out of it."""


class PythonMissing(FarSideError):
    """There is no Python where something of ours should run."""


class CopyIncomplete(FarSideError):
    """Some of the files could not be copied; each was named."""


class InstallFailed(FarSideError):
    """The pip over there failed, or there is none."""


class JupyterMissing(FarSideError):
    """There is no Jupyter in the image, the container, or on the host."""


class JupyterFailed(FarSideError):
    """Jupyter ended before it was ready."""


class JupyterNotReady(FarSideError):
    """Jupyter did not answer before the deadline."""


class ServerOpen(FarSideError):
    """A Jupyter server that lets anybody in."""


class ServerUnreachable(FarSideError):
    """A Jupyter server that runs where no forward of sshd's reaches."""


class LocalError(RemotenbError):
    """Something on the laptop itself."""

    code = 5


class KeyringUnusable(LocalError):
    """The system's keyring is not there, or does not do what it is asked for."""


class PortTaken(LocalError):
    """No local port could be bound."""


class LaptopRefused(LocalError):
    """A file of the laptop is not there, or may not be read or written, or its disk is full."""


class FileTaken(LocalError):
    """A file would have to be overwritten, and nobody said that it may be."""


class ArchiveUnusable(LocalError):
    """A file is no image archive, or is damaged."""


class WheelsMissing(LocalError):
    """What a machine without internet lacks cannot be fetched here for it."""


class ServerGone(RemotenbError):
    """The server was there, and does not come back."""

    code = 6
