"""The report: one page about a run, from the files in its folder, readable anywhere.

A run folder becomes a `Record` (`record`); the record becomes curves (`series`, `curves`), figures
(`figures`), findings (`findings`) and a recipe (`recipe`); the curves become drawings (`axis`,
`chart`); and `page` fills all of it into ``templates/``, as one file that needs nothing else.
`data_page` does the same for a shard set.
"""

from dslm.report.page import write_report

__all__ = ["write_report"]
