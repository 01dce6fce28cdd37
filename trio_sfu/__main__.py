"""`python -m trio_sfu` is the command `trio-sfu`."""

from trio_sfu.cli import main

main(prog_name="trio-sfu")
