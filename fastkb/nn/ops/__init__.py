"""The operations of a network: layers and losses."""
