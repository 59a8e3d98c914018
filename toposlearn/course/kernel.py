"""A Jupyter kernel of this very interpreter, and the peak of the memory it takes."""

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

INTERVAL = 0.1  # seconds between two samples of the memory


class PeakMemory:
    """The highest resident memory of a process and its descendants, in bytes, sampled every `INTERVAL`.

    Pages shared by several processes count once in each. On Linux the system's record of the first process's own peak
    (VmHWM) is read too, so that a peak between two samples is not lost.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._process: psutil.Process | None = None
        self._stop = threading.Event()

    def watch(self, pid: int) -> None:
        """Begin to measure the process `pid`."""
        with contextlib.suppress(psutil.Error):
            self._process = psutil.Process(pid)

    def sample(self) -> None:
        """Measure once."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.Error, OSError):
            resident = 0
            for process in (self._process, *self._process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # it ended meanwhile
                    resident += int(process.memory_info().rss)
            self.bytes = max(self.bytes, resident)
            status = Path(f"/proc/{self._process.pid}/status").read_text()  # an OSError elsewhere than on Linux
            for kilobytes in re.findall(r"^VmHWM:\s*(\d+)", status, re.MULTILINE):
                self.bytes = max(self.bytes, 1024 * int(kilobytes))

    @contextlib.contextmanager
    def sampling(self) -> Iterator[None]:
        """Sample from a thread for as long as the block lasts."""

        def sample_until_stopped() -> None:
            while not self._stop.wait(INTERVAL):
                self.sample()

        thread = threading.Thread(target=sample_until_stopped, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


def kernel_class(peak: PeakMemory) -> type[AsyncKernelManager]:
    """A kernel manager class whose kernels run `sys.executable` and are watched by `peak`.

    No kernel specification is looked up: ``python3`` in the user's home may belong to another environment.
    """

    class CurrentInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(**get_kernel_dict())  # ipykernel's own, with sys.executable

        async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
            await super()._async_launch_kernel(kernel_cmd, **kw)
            if (pid := getattr(self.provisioner, "pid", None)) is not None:
                peak.watch(pid)

        _launch_kernel = _async_launch_kernel

    return CurrentInterpreter
