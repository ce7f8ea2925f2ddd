"""The policy lab: scenarios of a fleet, its demand and its programmes, replayed through the code of the exchange."""
