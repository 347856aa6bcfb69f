"""The verdict on an object, and on a whole cluster: both engines, excuses, findings."""
