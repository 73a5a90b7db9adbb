"""Steps as programs of a GPU in Triton's language: one program per replica.

The elements of a loop, which a CPU goes through one after the other, stand side by side in tiles; a
program takes many steps in a row, so that only rows of batches come from outside of the
multiprocessor that it runs on. docs/compiled.md goes through an example.
"""
