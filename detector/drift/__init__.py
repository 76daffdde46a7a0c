"""Drift: the traffic has moved, as against one image that is odd; with a promise on false alarms.

One image goes: score -> rank among calibration and all images since the baseline (``ranks``), which
is uniform as long as nothing changes -> a bet against that (``bets``) -> evidence that only grows
when bets are won (``evidence``) -> an alarm when it passes the threshold that the promise sets
(``promise``). ``monitors`` holds the streams that are watched, ``state`` all of them together with
alarms and what a restart must not forget, ``autocorrelation`` how far apart images must be to
count, ``power`` how soon a change would be seen. Nothing here knows HTTP, files or clocks.
"""
