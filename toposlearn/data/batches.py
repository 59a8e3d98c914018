"""The batches of a run, one step after the other, prepared here or by worker processes: the same either way."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.utils.data import DataLoader

from toposlearn.data.pairs import PairDataset

Batch = dict[str, Tensor]


def load_batches(dataset: PairDataset, steps: range) -> Iterator[Batch]:
    """The batches of these steps; with ``train.workers`` some of them are prepared ahead (``train.prefetch`` each).

    RuntimeError, in one line, where a worker fails.
    """
    workers, ahead = dataset.config.train.workers, dataset.config.train.prefetch
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=ahead if workers else None,
        persistent_workers=workers > 0,
    )
    return _named(iter(loader)) if workers else iter(loader)


def _named(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; an error of a worker in one line instead of its traceback."""
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            remedy = "resume the run, with train.workers=0 if it happens again"
            raise RuntimeError(f"a worker that prepares batches failed: {reason}: {remedy}") from None
        yield batch
