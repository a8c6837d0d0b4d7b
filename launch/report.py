"""Write the report of a run: `python launch/report.py RUN`."""

from dslm.commands.cli import script
from dslm.commands.main import command

if __name__ == "__main__":
    script(command("report"))
