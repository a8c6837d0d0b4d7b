"""Write the report of a run: `python launch/report.py RUN`."""

from dslm.commands.main import command
from dslm.commands.run import script

if __name__ == "__main__":
    script(command("report"))
