"""From a results folder to tables, exponents, figures and one page.

Nothing here trains; figures and claims read the tables only.
"""
