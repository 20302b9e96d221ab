from fastkb.bands.kinds import KINDS
from fastkb.cli.parser import KINDS as OF_THE_COMMAND


def test_the_command_knows_all_kinds():
    assert set(OF_THE_COMMAND) == set(KINDS)
    assert len(set(KINDS.values())) == len(KINDS)
