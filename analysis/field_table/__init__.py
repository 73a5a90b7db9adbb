"""The table of the field: every method on every target, estimated, ranked and written.

It is handed what was asked for (:mod:`analysis.field_table.requests`) and reads the store; it runs
nothing.
"""
