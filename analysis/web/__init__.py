"""The HTML page of a report: one offline file made from tables, charts and verdicts.

:mod:`analysis.web.document` fills the template in ``assets``; the other modules prepare what it
shows. Scripts in ``assets`` add search, sorting and drawing (by Plotly), and no content.
"""
