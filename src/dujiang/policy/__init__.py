"""Which support applies: programmes as dated data, evaluated with reasons. Pure."""
