from fastkb.bands.kinds import KINDS
from fastkb.cli.parser import KINDS as OF_THE_COMMAND


def test_the_command_knows_all_kinds():
    assert set(OF_THE_COMMAND) == set(KINDS)
    labels = [kind.label for kind in KINDS.values()]
    assert len(set(labels)) == len(labels)
