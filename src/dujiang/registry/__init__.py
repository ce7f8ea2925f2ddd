"""Who asks and what is offered: the book of a round. Pure: parsing and checking of tables that somebody else read."""
