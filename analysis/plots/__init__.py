"""Figures of a study, one file each.

A file ``<name>.py`` holds a function ``<name>(evidence, **options)`` that yields
:class:`analysis.chart.Chart` (drawn for paper and in the browser, with its data as CSV) or
:class:`analysis.chart.TableFigure` (a table), and yields nothing where the tables do not hold what
it shows. It reads the study's :class:`analysis.evidence.Evidence` and nothing else.

A figure whose options all have defaults is offered to every study. One that needs an option is
drawn where a study asks for it, as data in its file: ``study.figures: [{figure: <name>, <option>:
<value>}]``; there the defaults of any figure can be changed, too. A file's ``ORDER`` (default 50)
is its position on the page, smaller first. Nothing has to be registered.
"""
