"""Reclaim (mm/vmscan.c): kswapd, requests that reclaim for themselves, and the lists that they work on."""
