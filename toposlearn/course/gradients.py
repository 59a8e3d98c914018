"""Whether something can be learned from an answer: its gradient against that of the right one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from toposlearn.course.ask import Reply


def refuse_cut_gradient(reply: Reply, right: Reply, inputs: Sequence[object], names: Sequence[str]) -> None:
    """AssertionError where an answer of right value has not the gradient of the right answer.

    Args:
        reply: the learner's answer and the leaves of its inputs.
        right: the right answer and its leaves, in the same order.
        inputs: the arguments, which say to which of them a leaf belongs.
        names: names of the arguments.
    """
    owners = [name for name, value in zip(names, inputs, strict=True) for _ in _learned(value)]
    for owner, leaf, got, wanted in zip(owners, right.leaves, _gradients(reply), _gradients(right), strict=True):
        wanted = torch.zeros_like(leaf) if wanted is None else wanted
        if got is None and not wanted.any():
            continue  # nothing is to be learned in this case
        if got is None:
            raise AssertionError(
                f"the value is right, but nothing can be learned from it: the gradient is cut, none reaches `{owner}`. "
                "Keep tensors (hint: no `float`, `.item()`, `.detach()`, `.data`, `.tolist()` or NumPy)."
            )
        if not got.isfinite().all():
            raise AssertionError(
                f"the value is right, but the gradient of `{owner}` is NaN: a division 0 by 0 spoils it, even where "
                "its result is left out afterwards. Do not divide by 0 (hint: `count.clamp(min=1)`, or pick first)."
            )
        if not torch.allclose(got, wanted, atol=1e-5):
            raise AssertionError(
                f"the value is right, but the gradient of `{owner}` is not: a part of it is cut off (`.detach()`, "
                "`.data`, `.item()`)."
            )


def _learned(value: object) -> Iterator[Tensor]:
    if isinstance(value, tuple):
        for item in value:
            yield from _learned(item)
    elif isinstance(value, Tensor) and value.requires_grad:
        yield value


def _gradients(reply: Reply) -> Sequence[Tensor | None]:
    answer = reply.answer
    if not (isinstance(answer, Tensor) and answer.requires_grad):
        return [None] * len(reply.leaves)
    return torch.autograd.grad(answer.sum(), reply.leaves, allow_unused=True)
