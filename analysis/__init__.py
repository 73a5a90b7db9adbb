"""From a results folder to tables, exponents, figures and one page; nothing here trains, and
figures only read the tables."""
