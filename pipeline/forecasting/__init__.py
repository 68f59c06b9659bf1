"""From closes to a forecast: split, scale, windows, network, intervals. Pure, except for the `.keras` files."""
