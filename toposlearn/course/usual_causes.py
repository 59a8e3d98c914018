"""What usually lies behind an exception in an answer: kind of exception, text of its message, cause and hint."""

from __future__ import annotations

import re

# The first line that fits is used. A `{0}` in the cause is the first group of the pattern.
CAUSES: tuple[tuple[type[Exception], str, str], ...] = (
    (NotImplementedError, "", "the exercise is still to be written"),
    (UnboundLocalError, "variable '(.+?)'", "`{0}` is read before it has a value: its assignment did not run"),
    (NameError, r"'(np|torch|topology)'", "the cell with the imports, at the top of the notebook, has not been run"),
    (NameError, r"'(pairwise_distance|nearest_neighbors)'", "it belongs to a module (hint: `topology.{0}`)"),
    (NameError, r"'(relu|stack|where|arange)'", "it belongs to a module (hint: `torch.{0}`)"),
    (NameError, r"'(.+?)'", "`{0}` is misspelled, is no argument of your function, or is assigned later"),
    (RecursionError, "", "your function calls itself without an end"),
    (ZeroDivisionError, "", "a count is 0: nothing is left to take the mean of"),
    # Truth of many values
    (
        Exception,
        "(?:Boolean|truth) value of",
        "`max`, `min`, `if`, `and`, `or` look at one value, here there are many (hint: `torch.relu`, `torch.where`, "
        "`np.where`, `&`, `|`)",
    ),
    # Shapes
    (
        Exception,
        "cannot be multiplied|mismatch in its core dimension|not aligned|batch2|einsum|must be a matrix",
        "the shapes do not multiply: with one row per item write `items @ matrix.T`, not `matrix @ items`; in a batch "
        "move the last two axes (hint: `transpose(1, 2)`)",
    ),
    (
        RuntimeError,
        "all dimensions of input must be of equal length",
        "`fill_diagonal_` takes one square matrix, here there is one per person (hint: `distance.diagonal(dim1=1, "
        "dim2=2).fill_(torch.inf)`)",
    ),
    (
        Exception,
        "must match the size|broadcast|must match the existing size",
        "the shapes do not fit entry by entry: print both, add an axis where one is missing (hint: `x[:, None]`)",
    ),
    (
        RuntimeError,
        "view size is not compatible",
        "`view` cannot follow moved axes (hint: `reshape`, or `flatten` and then `transpose`)",
    ),
    (Exception, "is invalid for input of size|cannot reshape", "the new shape has another number of values"),
    (
        Exception,
        "[Ss]izes of tensors must match|equal size|must have same number",
        "what is put together differs in shape: print the shapes",
    ),
    (
        RuntimeError,
        "number of dimensions in the tensor input|Wrong shape|permute",
        "name every axis once: print the shape",
    ),
    # Indices
    (
        IndexError,
        r"index \d+ is out of bounds for dimension 0",
        "`x[index]` picks along the *first* axis, which is often the person (hint: `x.gather(1, index)` picks in each "
        "row); or an index is counted from 1",
    ),
    (
        IndexError,
        "used as indices must be|valid indices",
        "indices must be whole numbers (hint: `.long()`, `.astype(int)`)",
    ),
    (
        IndexError,
        "shape of the mask|boolean index did not match",
        "a mask picks from the first axes on and must have their shape: print both",
    ),
    (
        IndexError,
        "Dimension out of range|out of bounds for array of dimension|too many indices",
        "there are fewer axes than you name: print the shape",
    ),
    (IndexError, "out of bounds|out of range", "an index is larger than the axis is long; they are counted from 0"),
    (RuntimeError, "selected index k out of range", "more neighbors are asked for than there are tokens"),
    (
        RuntimeError,
        "Index tensor must have the same number|expected index",
        "`gather` takes an index with the axes of the tensor, none longer (hint: `backward.gather(1, forward)`)",
    ),
    (RuntimeError, "for index", "`gather` takes whole numbers (hint: `.long()`)"),
    # Kinds of values
    (
        Exception,
        "must be Tensor, not (?:tuple|list)|multiply sequence|concatenate tuple|'tuple' object has no attribute|"
        "for [-+*/]: (?:'tuple' and|'\\w+' and 'tuple')",
        "each term is a pair: take its mean first (hint: `torch.stack(pair).mean()`, or `sum(pair) / 2`)",
    ),
    (
        TypeError,
        "converted to an index|interpreted as an integer|indices must be integers",
        "a list, a tuple or `range` takes one whole number here (hint: `int(...)`; put tuples of tensors together with "
        "`torch.stack`)",
    ),
    (
        Exception,
        "Can't call numpy|only one element tensors|cannot be converted to Scalar|converted to Python scalar",
        "`float`, `.item()`, `math` and NumPy do not take these values: stay with one library and work on all values "
        "at once (hint: `torch.log`, `np.log`, `torch.stack`)",
    ),
    (
        TypeError,
        "must be Tensor, not numpy|must be Tensor, not (?:int|float)|got \\(int, Tensor|got \\(Tensor, (?:int|float)",
        "PyTorch wants a tensor here (hint: for a plain number `torch.relu` or `clamp(min=0)`; for arrays `np.`)",
    ),
    (TypeError, "received an invalid combination of arguments", "an argument is misspelled or of another kind"),
    (TypeError, "must be tuple of Tensors|as element 0", "`torch.stack` takes one list or tuple of tensors"),
    (RuntimeError, "could not infer output dtype", "the mean of true and false or of whole numbers (hint: `.float()`)"),
    (
        Exception,
        "bool tensor|boolean subtract|expected condition to be a boolean|operator.invert",
        "true and false do not calculate like numbers (hint: `~`, `&`, `|`, or `.float()` first)",
    ),
    (RuntimeError, "same dtype|dtypes match|expected scalar type", "two kinds of numbers meet (hint: `.to(x.dtype)`)"),
    (RuntimeError, "without overflow", "infinity and NaN are no whole numbers"),
    (RuntimeError, "in-place operation", "you change an input in place: calculate a new value instead"),
    (OverflowError, "", "the exponent is very large: mind its sign (hint: `exp(-TR / T1)`)"),
    (ValueError, "math domain error", "the logarithm or root of a negative number"),
    # Calls
    (TypeError, "positional argument", "the function must take just the arguments of the exercise, in their order"),
    (TypeError, "'(Tensor|numpy.ndarray)' object is not callable", "values are picked with `[...]`, not with `(...)`"),
    (TypeError, "object is not callable|'module'", "the name before the bracket is no function"),
    (Exception, "NoneType|ellipsis", "a step before gives nothing: is it `...` still, or a function without `return`?"),
    (
        AttributeError,
        "'numpy.ndarray' object has no attribute '(.+?)'",
        "`{0}` belongs to PyTorch's tensors, this is an array of NumPy (hint: `np.`)",
    ),
    (AttributeError, "'Tensor' object has no attribute '(.+?)'", "`{0}` is misspelled, or belongs to NumPy"),
    (
        AttributeError,
        "'(?:float|int|bool)' object",
        "this is a plain number, not a tensor: was it made one by `float`?",
    ),
    (
        AttributeError,
        "module '(.+?)' has no attribute",
        "the name is misspelled, or belongs to another module than `{0}`",
    ),
    (ValueError, "values to unpack", "the left side has not as many names as the right side has values"),
)


def usual_cause(error: BaseException) -> str | None:
    """The usual cause of an exception in an answer, or None when the table does not know it."""
    for kind, pattern, cause in CAUSES:
        found = re.search(pattern, str(error))
        if isinstance(error, kind) and found:
            return cause.format(*found.groups()) if found.groups() else cause
    return None
