"""The report: one page about a run, from the files in its folder, readable anywhere.

A run folder becomes a `Record` (`record`); the record becomes curves (`series`, `curves`), figures
(`figures`), findings (`findings`), results and a recipe (`results`, `recipe`); the curves become
drawings (`axis`, `chart`); and `page` fills all of it into ``templates/``, as one file that needs
nothing else. The scripts there (``axis.js``, ``chart.js``, ``page.js``) draw other sections and
axes of the same curves. `comparison` lays several runs over each other (`outcomes`: which is best),
`index` lists all runs of a folder (`summary`: a run in a line); `data_page` is about a shard set.
"""

from dslm.report.comparison import write_comparison
from dslm.report.page import write_report

__all__ = ["write_comparison", "write_report"]
