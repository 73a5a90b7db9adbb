"""The table of the field: every method on every target, planned, run within a budget and written.

``layout`` reads what the table holds, ``entries`` composes the jobs of every entry, ``running``
runs what is missing, ``additions`` adds rows and columns, ``build`` is the command.
"""
