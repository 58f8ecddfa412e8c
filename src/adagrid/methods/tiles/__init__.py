"""The classic method: tiles, simulated at their centres, refined and deepened where the bound is worst."""
