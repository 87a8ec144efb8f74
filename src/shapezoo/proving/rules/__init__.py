"""What PyTorch does to shapes and values when sizes are symbols.

PyTorch's fake kernels ask too much about sizes (each question splits a proof in two) and check too
little (a real kernel raises where they do not). The rules here answer instead, or add the check.

* `symbols`: symbols that behave as numbers do in Python code.
* `functions`: rules of Python functions, of PyTorch and of Python itself.
* `kernels`: rules of ATen kernels, and what these check of sizes.
* `values`: the values of tensors, as far as an index or a check depends on them.
* `intervals`, `shape_rules`: what rules for values and shapes are made of.
* `messages`, `source_code`: which code only makes the message of an error.
"""
