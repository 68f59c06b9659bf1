"""How good forecasts are: metrics, baselines, live scores. Pure functions of arrays and frames."""
