"""Alerts, and what a policy makes of them: the state machine of one case, in the row of the object that it is about.

`open.py` takes alerts in and closes them, `decide.py` answers the next step, `ask.py` asks people, `end.py` takes in
how a step went, `lift.py` takes back what was only for a time. All of it is pure.
"""
