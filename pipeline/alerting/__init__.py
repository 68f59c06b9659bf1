"""Messages to people: what is sent, to which channel, and what was sent before."""
