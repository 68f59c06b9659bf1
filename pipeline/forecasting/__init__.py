"""From closes to a forecast: split, scale, windows, network, intervals. Pure but for the `.keras` files."""
