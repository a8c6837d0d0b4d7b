"""The report: one page that tells a run, from the files in its folder, readable anywhere.

A run folder becomes a `Record` (`record`); the record becomes curves (`series`, `curves`), figures
(`figures`), findings (`findings`) and a recipe (`recipe`); the curves become drawings (`axis`,
`chart`); and `page` puts all of it on one page that needs no network, no fonts and no scripts.
"""

from dslm.report.page import write_report

__all__ = ["write_report"]
