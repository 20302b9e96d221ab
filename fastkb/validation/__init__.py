"""Every check of user input, one file per public call family; general helpers here."""
